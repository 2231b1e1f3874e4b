"""What NV_cooperative_matrix2 adds makes valid modules."""

import pytest
from tests.helios.spirv.tools import validated

from alpha_helios.spirv.disassemble import decode
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.tensor import Clamp, Direction
from alpha_helios.spirv.types import f16, f32, i32
from alpha_helios.spirv.value import Value


def _accumulator(k: Kernel, rows: int = 64, columns: int = 128):  # type: ignore[no-untyped-def]
    return k.coop_fill(k.coop_matrix(f32, rows, columns, "accumulator", "workgroup"), 1)


def test_a_product_of_slices_that_reach_beyond_the_tensor() -> None:
    k = Kernel((256, 1, 1))
    c, a, b = k.pointer(f32), k.pointer(f16, readonly=True), k.pointer(f16)
    m, n, depth = k.integer(), k.integer(), k.integer()
    left = k.coop_matrix(f16, 64, 32, "a", "workgroup")
    right = k.coop_matrix(f16, 32, 128, "b", "workgroup")
    total = k.coop_variable(_accumulator(k))
    layout_a = k.tensor_layout(2, "constant").dimensions(m, depth).strides(depth, 1).clamp_value(0)
    layout_b = k.tensor_layout(2, "constant").dimensions(n, depth)
    transposed = k.tensor_view(2, (1, 0))
    with k.range_(0, depth, 32) as i:
        x = k.coop_load_tensor(left, a, layout_a.slice((k.group(1) * 64, 64), (i, 32)))
        y = k.coop_load_tensor(right, b, layout_b.slice((k.group(0) * 128, 128), (i, 32)), transposed)
        total.value = k.coop_muladd(x, y, total.value)
    out = k.tensor_layout(2).dimensions(m, n).slice((k.group(1) * 64, 64), (k.group(0) * 128, 128))
    k.coop_store_tensor(c, total.value, out)
    needed = {"cooperativeMatrixTensorAddressing", "cooperativeMatrixWorkgroupScope", "cooperativeMatrix"}
    binary = validated(k)
    assert needed <= binary.requirements
    assert binary.code[4:8] == bytes((0, 6, 1, 0)), "the extension is written against SPIR-V 1.6"


@pytest.mark.parametrize("clamp", ["undefined", "constant", "edge", "repeat", "mirror"])
def test_tensors_of_any_shape(clamp: Clamp) -> None:
    k = Kernel((128, 1, 1))
    p = k.pointer(f32)
    n = k.integer()
    layout = k.tensor_layout(3, clamp).dimensions(4, n, 128).strides(n * 128, 128, 1)
    layout = layout.slice((1, 1), (n, 64), (0, 128))
    view = k.tensor_view(2, reshaped=True).dimensions(64, 128).strides(128, 1).clip(0, n, 0, 100)
    type_ = k.coop_matrix(f32, 64, 128, "accumulator", "workgroup")
    matrix = k.coop_load_tensor(type_, p, layout, view, into=_accumulator(k), alignment=16)
    k.coop_store_tensor(p, matrix, layout, view)
    shared = k.shared(f32, 64 * 128)
    inside = k.tensor_layout(2).dimensions(64, 128)
    k.coop_store_tensor(shared, matrix, inside)
    k.coop_store_tensor(p, k.coop_load_tensor(type_, shared, inside), inside)
    validated(k)


@pytest.mark.parametrize(
    ("direction", "shape", "resized"),
    [
        *(("row", (64, 128), {}), ("column", (64, 128), {}), ("both", (64, 128), {}), ("2x2", (32, 64), {})),
        *(("row", (64, 32), {"columns": 32}), ("column", (16, 128), {"rows": 16})),
        ("both", (8, 8), {"rows": 8, "columns": 8}),
    ],
)
def test_matrices_are_reduced(direction: Direction, shape: tuple[int, int], resized: dict[str, int]) -> None:
    k = Kernel((128, 1, 1))

    def softer(a: Value, b: Value) -> Value:
        result = k.variable(0.0, f32)
        with k.if_(a > b) as branch:
            result.value = a
        with branch.else_(), k.range_(0, 3) as i:
            result.value = result.value + b * k.convert(i, f32)
        return result.value

    for combine in (k.maximum, softer):
        reduced = k.coop_reduce(_accumulator(k), direction, combine, **resized)
        assert (reduced.type.rows, reduced.type.columns) == shape
    assert "cooperativeMatrixReductions" in validated(k).requirements


def test_a_function_replaces_every_component() -> None:
    k = Kernel((128, 1, 1))
    factor, n = k.number(), k.integer()

    def causal(row: Value, column: Value, x: Value, scale: Value, first: Value) -> Value:
        return k.select(row + first >= column, x * scale, float("-inf"))

    k.coop_per_element(_accumulator(k), causal, factor, n)
    assert "cooperativeMatrixPerElementOperations" in validated(k).requirements


def test_a_function_gets_components_of_other_matrices() -> None:
    k = Kernel((128, 1, 1))
    total, other, narrow = _accumulator(k), _accumulator(k), _accumulator(k, 64, 64)
    factor, shared = k.number(), k.shared(f32, 128)

    def mixed(row: Value, column: Value, x: Value, y: Value, scale: Value) -> Value:
        return k.maximum(x * scale, y) + shared[column]

    k.coop_per_element(total, mixed, other, factor)
    with pytest.raises(TypeError, match="both must be of one type"):
        k.coop_per_element(total, mixed, narrow, factor)
    validated(k)


def test_accumulators_become_factors() -> None:
    k = Kernel((128, 1, 1))
    total = _accumulator(k)
    a, b = k.coop_convert_use(total, "a", f16), k.coop_transpose(total.convert(f16))
    assert (a.type.use, a.type.component) == ("a", f16)
    assert (b.type.use, b.type.rows, b.type.columns) == ("b", 128, 64)
    assert k.coop_convert_use(total, "a").type.component == f32
    k.coop_muladd(a, b, _accumulator(k, 64, 64))
    assert "cooperativeMatrixConversions" in validated(k).requirements


def test_functions_beside_the_kernel_know_only_what_they_are_given() -> None:
    k = Kernel((128, 1, 1))
    factor = k.number()
    with pytest.raises(ValueError, match=r"`coop_per_element`: .* computed in the kernel .*; pass it as an operand"):
        k.coop_per_element(_accumulator(k), lambda row, column, x: x * factor)
    with pytest.raises(TypeError, match="`coop_reduce`: a value of type i1 where f32 is needed"):
        k.coop_reduce(_accumulator(k), "row", lambda a, b: a < b)
    names = [row.name for row in decode(validated(k).code)]
    assert names.count("Function") == 1  # what failed is gone


def test_wrong_uses_of_tensors_are_refused() -> None:
    k = Kernel((128, 1, 1))
    p, n = k.pointer(f32, readonly=True), k.integer()
    layout, total = k.tensor_layout(2), _accumulator(k)
    with pytest.raises(TypeError, match="`dimensions` with 1 numbers for 2 axes"):
        layout.dimensions(n)
    with pytest.raises(TypeError, match="`slice` with 3 numbers"):
        layout.slice((0, 1), (0, 1), (0, 1))
    with pytest.raises(ValueError, match="6 axes"):
        k.tensor_layout(6)
    with pytest.raises(ValueError, match="clamp 'wrap'"):
        k.tensor_layout(2, "wrap")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="does not permute 2 axes"):
        k.tensor_view(2, (0, 2))
    with pytest.raises(TypeError, match="readonly=True"):
        k.coop_store_tensor(p, total, layout)
    with pytest.raises(TypeError, match="elements of i32; they must be its components"):
        k.coop_load_tensor(total.type, k.shared(i32, 8), layout)
    with pytest.raises(TypeError, match="it takes an accumulator"):
        k.coop_transpose(k.coop_convert_use(total, "a"))
    with pytest.raises(ValueError, match="factors are 'a' and 'b'"):
        k.coop_convert_use(total, "accumulator")
    with pytest.raises(TypeError, match="floats become floats"):
        k.coop_convert_use(total, "a", i32)
    with pytest.raises(ValueError, match="along 'depth'"):
        k.coop_reduce(total, "depth", k.maximum)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="keeps the number"):
        k.coop_reduce(total, "row", k.maximum, rows=8)
    with pytest.raises(ValueError, match="halves rows and columns"):
        k.coop_reduce(total, "2x2", k.maximum, rows=8)
    with pytest.raises(TypeError, match="into matrix accumulator"):
        k.coop_load_tensor(k.coop_matrix(f32, 8, 8, "a", "workgroup"), p, layout, into=total)
