"""Activations compiled from expressions, against their evaluation in float64, alone and behind a product."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core import expression as ex
from alpha_core.dtype import DType
from alpha_core.expression import Expression, X
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_tensor import CpuRef
from alpha_testkit.compare import assert_same_bits

Array = npt.NDArray[Any]

GELU = 0.5 * X * (1.0 + ex.tanh(0.7978845608 * (X + 0.044715 * X * X * X)))
LEARNED = X * ex.sigmoid(ex.coefficient("slope", 1.0) * X) + ex.coefficient("lift", 0.1) * ex.tanh(X)
EXPRESSIONS: dict[str, Expression] = {
    "gelu": GELU,
    "silu": X * ex.sigmoid(X),
    "relu2": ex.square(ex.maximum(X, 0.0)),
    "learned": LEARNED,
    "rational": (X * X + 1.0) / (ex.absolute(X) + 2.0) - ex.log(ex.exp(X) + 1.0),
    "floor": ex.minimum(ex.maximum(X, ex.coefficient("floor", -0.5)), 1.0) * ex.sqrt(X * X + 0.25),
    "constant": ex.constant(2.0) + ex.coefficient("only", 0.5),
}


def draw(shape: tuple[int, ...], expression: Expression) -> tuple[Array, Array, Array, list[Array]]:
    rng = np.random.default_rng(0)
    x, grad = ((rng.standard_normal(shape) * 2).astype(np.float32) for _ in range(2))
    bias = rng.standard_normal(shape[-1]).astype(np.float32)
    return x, grad, bias, [rng.random(shape[-1]).astype(np.float32) + 0.25 for _ in expression.coefficients()]


def reference(
    grad: Array, x: Array, bias: Array | None, expression: Expression, learned: list[Array]
) -> tuple[Array, list[Array]]:
    """The value, and the gradients for x, the bias and each coefficient, in float64."""
    b = CpuRef()
    given = [None if array is None else b.upload(array.astype(np.float64)) for array in (grad, x, bias)]
    coefficients = [b.upload(array.astype(np.float64)) for array in learned]
    assert given[0] is not None
    assert given[1] is not None
    value = b.bias_activation(given[1], given[2], expression, coefficients)
    dx, dbias, dlearned = b.bias_activation_grad(given[0], given[1], given[2], expression, coefficients)
    tensors = [dx, *([] if dbias is None else [dbias]), *dlearned]
    return b.download(value), [b.download(tensor) for tensor in tensors]


def computed(
    helios: Helios, grad: Tensor, x: Tensor, bias: Tensor | None, expression: Expression, learned: list[Tensor]
) -> tuple[Array, list[Array]]:
    value = helios.bias_activation(x, bias, expression, learned)
    dx, dbias, dlearned = helios.bias_activation_grad(grad, x, bias, expression, learned)
    tensors = [dx, *([] if dbias is None else [dbias]), *dlearned]
    assert all(stored_dtype(tensor) is DType.f32 for tensor in tensors[1:])
    return helios.download(value), [helios.download(tensor) for tensor in tensors]


def assert_near(got: tuple[Array, list[Array]], want: tuple[Array, list[Array]], units: float = 24.0) -> None:
    """Within some roundings of the largest value."""
    for one, exact in zip([got[0], *got[1]], [want[0], *want[1]], strict=True):
        assert one.shape == exact.shape
        assert np.max(np.abs(one - exact)) <= units * 2.0**-23 * np.max(np.abs(exact), initial=1e-30)


@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_node_in_one_kernel(helios: Helios, name: str, biased: bool) -> None:
    expression = EXPRESSIONS[name]
    x, grad, bias, learned = draw((7, 3, 20), expression)
    tensors = [helios.upload(array) for array in (grad, x)]
    got = computed(
        helios,
        *tensors,
        helios.upload(bias) if biased else None,
        expression,
        [helios.upload(array) for array in learned],
    )
    assert_near(got, reference(grad, x, bias if biased else None, expression, learned))


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 7), (70, 33), (5, 1030), (2000, 12), (9, 4096)], ids=str)
def test_every_shape(helios: Helios, shape: tuple[int, int]) -> None:
    x, grad, bias, learned = draw(shape, LEARNED)
    tensors = [helios.upload(array) for array in (grad, x, bias)]
    got = computed(helios, *tensors, LEARNED, [helios.upload(array) for array in learned])
    assert_near(got, reference(grad, x, bias, LEARNED, learned), 64)
    plain = computed(helios, *tensors[:2], None, GELU, [])
    assert_near(plain, reference(grad, x, None, GELU, []))


@pytest.mark.parametrize("kinds", ["bbff", "bfbb", "fbhb", "hhbf"])
def test_any_mixture_of_stored_dtypes(helios: Helios, kinds: str) -> None:
    by_letter = {"f": DType.f32, "b": DType.bf16, "h": DType.f16}
    x, grad, bias, learned = draw((40, 36), LEARNED)
    arrays, tensors = [], []
    for letter, array in zip((*kinds, kinds[-1]), (x, grad, bias, *learned), strict=True):
        dtype = by_letter[letter]
        arrays.append(array if dtype is DType.f32 else rounded(array, dtype))
        tensors.append(helios.upload(array) if dtype is DType.f32 else stored_as(helios, array, dtype))
    x, grad, bias, *learned = arrays
    value, (dx, *sums) = computed(helios, tensors[1], tensors[0], tensors[2], LEARNED, tensors[3:])
    want, (wanted, *wanted_sums) = reference(grad, x, bias, LEARNED, learned)
    spacing = {"f": 2.0**-23, "b": 2.0**-8, "h": 2.0**-11}
    np.testing.assert_allclose(value, want, rtol=1.01 * spacing[kinds[0]], atol=4e-6)
    np.testing.assert_allclose(dx, wanted, rtol=1.01 * max(spacing[kind] for kind in kinds[:2]), atol=4e-6)
    for got, exact in zip(sums, wanted_sums, strict=True):
        assert np.max(np.abs(got - exact)) < 1e-5 * np.max(np.abs(exact)), "sums are of what is not rounded yet"


def test_infinities_and_nan_are_as_in_the_definition(helios: Helios) -> None:
    x = np.array([[0.0, np.inf, -np.inf, np.nan, 1e38, -1e38, 1e-45]], np.float32)
    for expression in (
        1.0 / X,
        ex.log(X),
        ex.sqrt(X),
        ex.maximum(X, 0.0),
        ex.minimum(0.0, X),
        ex.tanh(X),
        ex.sigmoid(X),
    ):
        with np.errstate(all="ignore"):
            want = reference(np.ones_like(x), x, None, expression, [])[0].astype(np.float32)
        got = helios.download(helios.bias_activation(helios.upload(x), None, expression))
        flushed = np.where(np.abs(x) < 2.0**-126, 0.0, x)  # a device may take a denormal number as 0
        with np.errstate(all="ignore"):
            other = reference(np.ones_like(x), flushed, None, expression, [])[0].astype(np.float32)
        near = np.isclose(got, want, rtol=1e-6, atol=1e-37, equal_nan=True) | np.isclose(got, other, equal_nan=True)
        assert near.all(), f"{expression}: {got}, not {want}"


def test_sums_repeat(helios: Helios) -> None:
    x, grad, bias, learned = draw((3000, 33), LEARNED)
    given = [helios.upload(array) for array in (grad, x, bias)]
    coefficients = [helios.upload(array) for array in learned]
    first, second = (computed(helios, *given, LEARNED, coefficients) for _ in range(2))
    for got, again in zip(first[1], second[1], strict=True):
        assert_same_bits("once more", again, got)
    assert_near(first, reference(grad, x, bias, LEARNED, learned), 64)


@pytest.mark.parametrize("precision", [DType.f32, DType.bf16])
def test_behind_a_product_it_rounds_as_alone(helios: Helios, precision: DType) -> None:
    rng = np.random.default_rng(0)
    a, weight = (rng.standard_normal(shape).astype(np.float32) for shape in ((33, 40), (40, 36)))
    _, _, bias, learned = draw((33, 36), LEARNED)
    tensors = [helios.upload(array) for array in (weight, bias, *learned)]

    def step(given: Tensor) -> list[Tensor]:
        return [helios.bias_activation(helios.matmul(given, tensors[0]), tensors[1], LEARNED, tensors[2:])]

    helios.set_matmul_dtype(precision)
    try:
        program = helios.record(step, [a], name="layer")
        (recorded,) = map(helios.download, program(a))
        (eager,) = map(helios.download, step(helios.upload(a)))
    finally:
        helios.set_matmul_dtype(DType.f32)
    assert_same_bits("the activation", recorded, eager)
    assert program.dispatches == 1, "the product and its activation are one kernel"


def test_sums_go_into_gradients_as_if_in_two_steps(helios: Helios) -> None:
    x, grad, bias, learned = draw((50, 33), LEARNED)
    tensors = [helios.upload(array) for array in (x, bias, *learned)]
    apart, fused = ([helios.upload(array) for array in (bias, *learned)] for _ in range(2))

    def accumulate(given: Tensor, totals: list[Tensor]) -> Tensor:
        dx, dbias, dlearned = helios.bias_activation_grad(given, tensors[0], tensors[1], LEARNED, tensors[2:])
        assert dbias is not None
        for total, one in zip(totals, [dbias, *dlearned], strict=True):
            helios.add_into(total, one)
        return dx

    accumulate(helios.upload(grad), apart)
    program = helios.record(lambda given: [accumulate(given, fused)], [grad], name="step")
    program(grad)
    for got, want in zip(fused, apart, strict=True):
        assert_same_bits("a gradient", helios.download(got), helios.download(want))
    assert program.dispatches == 1 + len(fused), "the additions are a part of the sums"
