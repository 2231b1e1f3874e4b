"""Parts of tensors, views, reductions and conversions of matrices of workgroups, beside numpy."""

from typing import Any

import numpy as np
import pytest
from tests.helios.machine.imagined import launch

from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.tensor import Clamp, Direction
from alpha_helios.spirv.types import bf16, f16, f32, i8, i32

Array = np.ndarray[Any, Any]

ROWS, COLUMNS = 16, 8
PADDING: dict[Clamp, dict[str, Any]] = {
    "constant": {"mode": "constant", "constant_values": 3.0},
    "edge": {"mode": "edge"},
    "repeat": {"mode": "wrap"},
    "mirror": {"mode": "reflect"},
}


def _numbers(*shape: int) -> Array:
    return np.random.default_rng(0).integers(-99, 99, shape).astype(np.float32)


def _kernel() -> Kernel:
    return Kernel((64, 1, 1), subgroup_size=32)


@pytest.mark.parametrize("clamp", PADDING)
def test_what_lies_beyond_a_tensor(clamp: Clamp) -> None:
    """numpy pads in the same ways; `mirror` does not repeat the edge."""
    x, padded = _numbers(13, 7), np.pad(_numbers(13, 7), 6, **PADDING[clamp])
    for first_row, first_column in ((-5, -4), (3, 1), (3, 5), (-6, 5)):
        k = _kernel()
        out, source = k.pointer(), k.pointer(readonly=True)
        layout = k.tensor_layout(2, clamp).dimensions(13, 7).clamp_value(int(np.float32(3).view(np.int32)))
        part = layout.slice((first_row, ROWS), (first_column, COLUMNS))
        matrix = k.coop_load_tensor(k.coop_matrix(f32, ROWS, COLUMNS, "accumulator", "workgroup"), source, part)
        k.coop_store_tensor(out, matrix, k.tensor_layout(2).dimensions(ROWS, COLUMNS))
        got = np.zeros((ROWS, COLUMNS), np.float32)
        launch(k, got, x)
        want = padded[first_row + 6 :, first_column + 6 :][:ROWS, :COLUMNS]
        np.testing.assert_array_equal(got[: want.shape[0], : want.shape[1]], want)


def test_nothing_is_stored_beyond_a_tensor() -> None:
    k = _kernel()
    out = k.pointer()
    layout = k.tensor_layout(2, "edge").dimensions(13, 7).slice((5, ROWS), (-2, COLUMNS))
    k.coop_store_tensor(out, k.coop_fill(k.coop_matrix(f32, ROWS, COLUMNS, "accumulator", "workgroup"), 1), layout)
    got, want = np.zeros((13, 7), np.float32), np.zeros((13, 7))
    want[5:, :6] = 1
    launch(k, got)
    np.testing.assert_array_equal(got, want)


def test_axes_in_another_order() -> None:
    x = _numbers(5, 4, 6)
    k = _kernel()
    out, source = k.pointer(), k.pointer(readonly=True)
    layout = k.tensor_layout(3).dimensions(5, 4, 6).slice((1, 4), (0, 4), (2, 2))
    matrix = k.coop_load_tensor(
        k.coop_matrix(f32, 8, 4, "accumulator", "workgroup"), source, layout, k.tensor_view(3, (2, 1, 0))
    )
    k.coop_store_tensor(out, matrix, k.tensor_layout(2).dimensions(8, 4))
    got = np.zeros((8, 4), np.float32)
    launch(k, got, x)
    np.testing.assert_array_equal(got, x[1:5, :, 2:4].transpose(2, 1, 0).reshape(8, 4))


def test_a_part_of_another_shape_and_a_clip() -> None:
    """The part is seen as 4 x 8 with gaps of 10; of the matrix only rows 2 to 5 and columns 1 to 6 are replaced."""
    x = _numbers(100)
    k = _kernel()
    out, source = k.pointer(), k.pointer(readonly=True)
    layout = k.tensor_layout(1, "constant").dimensions(100).slice((3, 90))
    view = k.tensor_view(2, reshaped=True).dimensions(4, 6).strides(10, 1).clip(2, 4, 1, 6)
    type_ = k.coop_matrix(f32, ROWS, COLUMNS, "accumulator", "workgroup")
    matrix = k.coop_load_tensor(type_, source, layout, view, into=k.coop_fill(type_, 7))
    k.coop_store_tensor(out, matrix, k.tensor_layout(2).dimensions(ROWS, COLUMNS))
    got, want = np.zeros((ROWS, COLUMNS), np.float32), np.full((ROWS, COLUMNS), 7.0)
    want[2:6, 1:7] = np.lib.stride_tricks.as_strided(x[3:], (4, 6), (40, 4))
    launch(k, got, x)
    np.testing.assert_array_equal(got, want)


REDUCED: dict[Direction, tuple[int, ...] | None] = {"row": (1,), "column": (0,), "both": (0, 1), "2x2": None}


@pytest.mark.parametrize("direction", REDUCED)
def test_reductions(direction: Direction) -> None:
    x, axes = _numbers(ROWS, COLUMNS), REDUCED[direction]
    k = _kernel()
    out, source = k.pointer(), k.pointer(readonly=True)
    layout = k.tensor_layout(2).dimensions(ROWS, COLUMNS)
    matrix = k.coop_load_tensor(k.coop_matrix(f32, ROWS, COLUMNS, "accumulator", "workgroup"), source, layout)
    reduced = k.coop_reduce(matrix, direction, k.maximum)
    shape = (ROWS // 2, COLUMNS // 2) if axes is None else (ROWS, COLUMNS)
    k.coop_store_tensor(out, reduced, k.tensor_layout(2).dimensions(*shape))
    got = np.zeros(shape, np.float32)
    launch(k, got, x)
    if axes is None:
        want = x.reshape(ROWS // 2, 2, COLUMNS // 2, 2).max((1, 3))
    else:
        want = np.broadcast_to(x.max(axes, keepdims=True), shape)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("component", [f16, bf16], ids=str)
def test_sums_become_factors(component: Any) -> None:
    """(x + 1 where the row is even) times itself, transposed: a conversion, a transposition and a function."""
    x = _numbers(ROWS, COLUMNS) % 8
    k = _kernel()
    out, source, one = k.pointer(), k.pointer(readonly=True), k.number()
    layout = k.tensor_layout(2).dimensions(ROWS, COLUMNS)
    matrix = k.coop_load_tensor(k.coop_matrix(f32, ROWS, COLUMNS, "accumulator", "workgroup"), source, layout)
    changed = k.coop_per_element(
        matrix, lambda row, column, value, more: k.select(row % 2 == 0, value + more, value), one
    )
    left, right = k.coop_convert_use(changed, "a", component), k.coop_transpose(changed.convert(component))
    total = k.coop_fill(k.coop_matrix(f32, ROWS, ROWS, "accumulator", "workgroup"), 0)
    k.coop_store_tensor(out, k.coop_muladd(left, right, total), k.tensor_layout(2).dimensions(ROWS, ROWS))
    got = np.zeros((ROWS, ROWS), np.float32)
    launch(k, got, x, 1.0)
    x[::2] += 1
    np.testing.assert_array_equal(got, x @ x.T)


def test_a_function_gets_the_components_of_other_matrices_in_the_same_place() -> None:
    x, y = _numbers(ROWS, COLUMNS), _numbers(COLUMNS, ROWS).T.copy()
    k = _kernel()
    out, first, second, factor = k.pointer(), k.pointer(readonly=True), k.pointer(readonly=True), k.number()
    type_ = k.coop_matrix(f32, ROWS, COLUMNS, "accumulator")
    one, other = (k.coop_load(type_, source, stride=COLUMNS) for source in (first, second))
    matrix = k.coop_per_element(one, lambda row, column, a, scale, b: a * scale - b, factor, other)
    k.coop_store(out, 0, matrix, stride=COLUMNS)
    got = np.zeros((ROWS, COLUMNS), np.float32)
    launch(k, got, x, y, 3.0)
    np.testing.assert_array_equal(got, 3 * x - y)


def test_integers_are_multiplied_with_their_signs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (16, 32)).astype(np.int8), rng.integers(-128, 128, (32, 8)).astype(np.int8)
    k = Kernel((32, 1, 1), subgroup_size=32)
    out, x, y = k.pointer(i32), k.pointer(i8, readonly=True), k.pointer(i8, readonly=True)
    left = k.coop_load(k.coop_matrix(i8, 16, 32, "a"), x, stride=32)
    right = k.coop_load(k.coop_matrix(i8, 32, 8, "b"), y, stride=8)
    sums = k.coop_variable(k.coop_muladd(left, right, k.coop_fill(k.coop_matrix(i32, 16, 8, "accumulator"), 5)))
    with k.range_(0, k.coop_length(sums.type)) as index:
        sums[index] = sums[index] * 2
    k.coop_store(out, 0, sums.value, stride=8)
    got = np.zeros((16, 8), np.int32)
    launch(k, got, a, b)
    np.testing.assert_array_equal(got, 2 * (a.astype(np.int32) @ b.astype(np.int32) + 5))
