"""Updates of many parameters in one launch, against float64 and against the contract's own composites."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.recording.storage import buffer_of, stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.kernels.optimizer import CHUNK
from alpha_testkit.compare import assert_same_bits

Array = npt.NDArray[np.float32]

SIZES = (1, 16, 17, 3000, 5, 0, CHUNK, CHUNK + 1, 3 * CHUNK - 2, 0)
SETTINGS: dict[str, dict[str, Any]] = {
    "adamw_update": {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1},
    "lion_update": {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1},
    "sgd_update": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
}
MOMENTS = {"adamw_update": 2, "lion_update": 1, "sgd_update": 1}
SCALARS = {"learning_rate": 0.01, "correction1": 0.5, "correction2": 0.25, "gradient_scale": 2.0}


def draw(op: str, sizes: Sequence[int] = SIZES) -> list[list[Array]]:
    """Parameters, gradients and moments."""
    rng = np.random.default_rng(0)
    lists = [[rng.standard_normal(size).astype(np.float32) for size in sizes] for _ in range(2 + MOMENTS[op])]
    return [*lists[:3], *([np.abs(array) for array in arrays] for arrays in lists[3:])]


def update(b: Backend, op: str, lists: list[list[Tensor]], apply: float = 1.0, native: bool = True) -> None:
    names = list(SCALARS) if op == "adamw_update" else ["learning_rate", "gradient_scale"]
    scalars = [b.full((), SCALARS[name]) for name in names]
    parameters, gradients, *moments = lists
    method = getattr(type(b) if native else Backend, op)
    method(b, parameters, gradients, *moments, *scalars, b.full((), apply), **SETTINGS[op])


@pytest.mark.parametrize("op", SETTINGS)
def test_parameters_of_any_size_move_as_the_composite_moves_them(helios: Helios, op: str) -> None:
    drawn = draw(op)
    one, other = ([[helios.upload(array) for array in arrays] for arrays in drawn] for _ in range(2))
    update(helios, op, one)
    update(helios, op, other, native=False)
    for place in (0, *range(2, len(one))):
        for got, want in zip(one[place], other[place], strict=True):
            np.testing.assert_allclose(helios.download(got), helios.download(want), rtol=4e-6, atol=4e-7)
    for got, given in zip(one[1], drawn[1], strict=True):
        assert_same_bits("a gradient", helios.download(got), given)


def test_adamw_is_the_formula(helios: Helios) -> None:
    drawn = draw("adamw_update")
    lists = [[helios.upload(array) for array in arrays] for arrays in drawn]
    update(helios, "adamw_update", lists)
    for place, arrays in enumerate(zip(*drawn, strict=True)):
        p, g, m, v = (array.astype(np.float64) for array in arrays)
        first, second = 0.9 * m + 0.1 * 2 * g, 0.99 * v + 0.01 * (2 * g) ** 2
        want = p - 0.01 * (first / 0.5 / (np.sqrt(second / 0.25) + 1e-8) + 0.1 * p)
        np.testing.assert_allclose(helios.download(lists[0][place]), want, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(helios.download(lists[2][place]), first, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(helios.download(lists[3][place]), second, rtol=1e-6)


@pytest.mark.parametrize("op", SETTINGS)
def test_hundreds_of_parameters_take_one_launch(helios: Helios, op: str) -> None:
    drawn = draw(op, [1 + index % 7 for index in range(300)])
    eager, recorded = ([[helios.upload(array) for array in arrays] for arrays in drawn] for _ in range(2))
    update(helios, op, eager)

    def step() -> list[Tensor]:
        update(helios, op, recorded)
        return []

    program = helios.record(step, [], name="update")
    constants = 5 if op == "adamw_update" else 3
    assert program.dispatches == 1 + constants
    program()
    for place in range(len(eager)):
        for got, want in zip(recorded[place], eager[place], strict=True):
            assert_same_bits("after a recorded step", helios.download(got), helios.download(want))


@pytest.mark.parametrize("op", SETTINGS)
def test_what_is_not_applied_leaves_every_bit(helios: Helios, op: str) -> None:
    drawn = draw(op, (5, 4100))
    for array in drawn[1]:
        array[::2], array[1::2] = np.nan, np.inf
    lists = [[helios.upload(array) for array in arrays] for arrays in drawn]
    update(helios, op, lists, apply=0.0)
    for arrays, tensors in zip(drawn, lists, strict=True):
        for array, tensor in zip(arrays, tensors, strict=True):
            assert_same_bits("an element", helios.download(tensor), array)


@pytest.mark.parametrize("op", SETTINGS)
def test_gradients_of_other_dtypes_and_places(helios: Helios, op: str) -> None:
    drawn = draw(op, (40, 33, 5000))
    gradients = drawn[1]
    plain = [[helios.upload(array) for array in arrays] for arrays in drawn]
    plain[1][1] = helios.upload(rounded(gradients[1], DType.bf16))
    mixed = [[helios.upload(array) for array in arrays] for arrays in drawn]
    behind = helios.upload(np.concatenate([np.zeros(1, np.float32), gradients[0]]))
    mixed[1][0] = helios.slice(behind, 0, 1, 41)
    mixed[1][1] = stored_as(helios, gradients[1], DType.bf16)
    kept = [buffer_of(tensor) for tensor in mixed[0]]
    update(helios, op, plain)
    update(helios, op, mixed)
    assert [buffer_of(tensor) for tensor in mixed[0]] == kept, "parameters stay where they are"
    for place in (0, *range(2, len(plain))):
        for got, want in zip(mixed[place], plain[place], strict=True):
            assert stored_dtype(got) is DType.f32
            assert not view_of(got).offset
            assert_same_bits("whatever the gradient is stored as", helios.download(got), helios.download(want))


@pytest.mark.parametrize("op", SETTINGS)
def test_moments_below_the_normal_numbers_become_zero(helios: Helios, op: str) -> None:
    lists = [[helios.full((100,), value)] for value in (1.0, 0.0, 1.18e-38, 1.18e-38)[: 2 + MOMENTS[op]]]
    update(helios, op, lists)
    for moments in lists[2:]:
        assert not helios.download(moments[0]).any()
    assert np.isfinite(helios.download(lists[0][0])).all()


def test_a_gradient_that_is_not_finite_shows_where_it_is_applied(helios: Helios) -> None:
    drawn = draw("adamw_update", (8,))
    drawn[1][0][3] = np.nan
    lists = [[helios.upload(array) for array in arrays] for arrays in drawn]
    update(helios, "adamw_update", lists)
    for place in (0, 2, 3):
        np.testing.assert_array_equal(np.isnan(helios.download(lists[place][0])), np.arange(8) == 3)


def test_plain_descent_has_no_moments(helios: Helios) -> None:
    p, g = helios.upload(np.arange(5, dtype=np.float32)), helios.full((5,), 1.0)
    rate, scale, apply = helios.full((), 0.5), helios.full((), 2.0), helios.full((), 1.0)
    helios.sgd_update([p], [g], [], rate, scale, apply, momentum=0.0, nesterov=False, weight_decay=0.0)
    np.testing.assert_array_equal(helios.download(p), np.arange(5) - 1.0)


def test_no_parameters_are_no_work(helios: Helios) -> None:
    update(helios, "lion_update", [[], [], []])
