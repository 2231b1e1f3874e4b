"""Attention and its gradient beside float64: sizes around the limits of blocks, options, views, short dtypes."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.attention.setups import Array, Setup, stored

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.random import RandomStream
from alpha_core.recording.storage import buffer_of, is_contiguous, stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_tensor.cpu_ref.backend import CpuRef

TOLERANCE = 4e-6
"""Of the largest number, at least 1: sums of up to 130 products of weights that are rounded to 24 bits."""


SETUPS = [
    Setup(1, 2, 64, 64, 16),
    Setup(2, 1, 129, 129, 32),
    Setup(1, 3, 5, 70, 64, soft_cap=1.5),
    Setup(2, 2, 33, 101, 6, rate=0.3),
    Setup(2, 1, 63, 64, 64, rate=0.5),
    Setup(3, 1, 50, 50, 1),
    Setup(1, 1, 1, 1, 3),
    Setup(1, 2, 40, 40, 128, soft_cap=2.0, rate=0.5),
    Setup(1, 1, 17, 40, 200),
    Setup(1, 1, 7, 9, 256),
    Setup(1, 1, 7, 9, 257),
]


def error(got: Array, want: Array) -> float:
    """Returns the largest difference in shares of the largest number, which counts as 1 at least."""
    return float(np.max(np.abs(got - want)) / max(np.max(np.abs(want)), 1.0))


def attended(backend: Backend, arrays: Sequence[Array], *options: Any) -> Array:
    """Returns the result of attention to query, key and value."""
    query, key, value = map(backend.upload, arrays[:3])
    return backend.download(backend.attention(query, key, value, *options)[0])


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_results_and_gradients(setup: Setup, helios: Helios) -> None:
    for mine, exact in zip(setup.run(helios, setup.draw()), setup.exact(), strict=True):
        assert error(mine, exact) < TOLERANCE


def test_every_call_has_the_same_bits(helios: Helios) -> None:
    setup = Setup(2, 3, 70, 75, 24, soft_cap=3.0, rate=0.2)
    arrays = setup.draw()
    results = [setup.run(helios, arrays) for _ in range(3)]
    assert len({b"".join(array.tobytes() for array in result) for result in results}) == 1


def test_dropout_drops_the_elements_of_the_reference(helios: Helios) -> None:
    setup = Setup(2, 3, 37, 45, 64, rate=0.25)
    query, key, _, _ = setup.draw()
    # With unit vectors as values, the result is the matrix of weights.
    value = np.broadcast_to(np.eye(45, 64, dtype=np.float32), (2, 3, 45, 64))
    arrays = [query * 0, key, np.ascontiguousarray(value)]
    weights = attended(helios, arrays, *setup.options(helios))
    exact = attended(CpuRef(), arrays, *setup.options(CpuRef()))
    np.testing.assert_array_equal(weights == 0, exact == 0)


def test_the_future_has_no_influence(helios: Helios) -> None:
    query, key, value, _ = Setup(1, 2, 70, 70, 16).draw()
    before = attended(helios, [query, key, value])
    key[:, :, 41:], value[:, :, 41:] = np.nan, 7.0
    after = attended(helios, [query, key, value])
    assert before[:, :, :41].tobytes() == after[:, :, :41].tobytes()
    assert np.isnan(after[:, :, 41:]).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(poison: float, helios: Helios) -> None:
    for place in range(3):
        arrays = Setup(1, 1, 20, 20, 8).draw()
        arrays[place][0, 0, 3, :] = poison
        if place < 2:  # so that an infinite score is positive
            arrays[1 - place] = np.abs(arrays[1 - place]) * (-1 if poison == -np.inf else 1)
        assert not np.isfinite(attended(helios, arrays)[0, 0, 3]).any()


def test_scores_of_a_thousand_do_not_overflow(helios: Helios) -> None:
    query, key, value, _ = Setup(1, 1, 40, 40, 4).draw()
    arrays = [query * 30, key * 30, value]
    exact = attended(CpuRef(), [array.astype(np.float64) for array in arrays])
    assert error(attended(helios, arrays), exact) < 1e-4


def test_results_stand_as_the_next_product_reads_them(helios: Helios) -> None:
    query, key, value, grad = map(helios.upload, Setup(2, 3, 10, 10, 8).draw())
    out, log_sum_exp = helios.attention(query, key, value)
    gradients = helios.attention_grad(grad, query, key, value, out, log_sum_exp)
    assert is_contiguous(Tensor((2, 10, 3, 8), DType.f32, _turned(out)))
    assert len({id(buffer_of(tensor)) for tensor in gradients}) == 1


def _turned(x: Tensor) -> Any:
    view = view_of(x)
    return attrs.evolve(view, strides=tuple(view.strides[axis] for axis in (0, 2, 1, 3)))


def test_a_step_copies_neither_operands_nor_gradients(helios: Helios) -> None:
    setup, width = Setup(2, 3, 20, 20, 8), 24

    def step(joined: Tensor, grad: Tensor) -> list[Tensor]:
        sizes = (2, 20, 3, 8)
        query, key, value = (
            helios.transpose(helios.reshape(helios.slice(joined, 1, i * width, (i + 1) * width), sizes), (0, 2, 1, 3))
            for i in range(3)
        )
        out, log_sum_exp = helios.attention(query, key, value)
        merged = helios.reshape(helios.transpose(out, (0, 2, 1, 3)), (40, width))
        heads = helios.transpose(helios.reshape(grad, sizes), (0, 2, 1, 3))
        parts = helios.attention_grad(heads, query, key, value, out, log_sum_exp)
        total = None
        for i, part in enumerate(parts):
            rows = helios.reshape(helios.transpose(part, (0, 2, 1, 3)), (40, width))
            placed = helios.slice_grad(rows, 1, i * width, 3 * width)
            total = placed if total is None else helios.add(total, placed)
        assert total is not None
        return [merged, total]

    query, key, value, grad = setup.draw()
    joined = np.stack([array.transpose(0, 2, 1, 3) for array in (query, key, value)], 2).reshape(40, 3 * width)
    flat = grad.transpose(0, 2, 1, 3).reshape(40, width)
    program = helios.record(step, [joined, flat], name="attention")
    assert program.dispatches == 4  # the result, sums of rows, and two kernels for the gradients
    merged, total = (helios.download(tensor) for tensor in program(joined, flat))
    want = setup.run(helios, setup.draw())
    np.testing.assert_array_equal(merged, want[0].transpose(0, 2, 1, 3).reshape(40, width))
    gradients = np.stack([array.transpose(0, 2, 1, 3) for array in want[2:]], 2).reshape(40, 3 * width)
    np.testing.assert_array_equal(total, gradients)


@pytest.mark.parametrize("dtype", [DType.bf16, DType.f16])
def test_short_operands_give_short_results(dtype: DType, helios: Helios) -> None:
    setup = Setup(2, 2, 70, 75, 16, rate=0.25)
    arrays = setup.draw()
    exact = setup.exact()
    helios.set_matmul_dtype(dtype)
    try:
        query, key, value, grad = (stored(helios, array) for array in arrays)
        out, log_sum_exp = helios.attention(query, key, value, *setup.options(helios))
        gradients = helios.attention_grad(grad, query, key, value, out, log_sum_exp, *setup.options(helios))
    finally:
        helios.set_matmul_dtype(DType.f32)
    assert {stored_dtype(tensor) for tensor in (out, *gradients)} == {dtype}
    assert stored_dtype(log_sum_exp) is DType.f32
    bound = 2.0 ** (-7 if dtype is DType.bf16 else -10)
    for mine, want in zip((out, log_sum_exp, *gradients), exact, strict=True):
        assert np.linalg.norm(helios.download(mine) - want) < bound * np.linalg.norm(want)


def test_a_stream_needs_a_row_for_each_sequence(helios: Helios) -> None:
    query, key, value, _ = map(helios.upload, Setup(2, 1, 4, 4, 4).draw())
    stream = RandomStream(seed=1, stream=2, step=helios.upload(np.array(1, np.int32)), rows=helios.arange(3))
    with pytest.raises(ShapeError, match="rows"):
        helios.attention(query, key, value, 0.0, 0.5, stream)
    with pytest.raises(OpError, match="rate"):
        helios.attention(query, key, value, 0.0, 1.0, stream)
