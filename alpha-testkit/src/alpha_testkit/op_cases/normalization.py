"""Cases of layer norm and RMS norm. References of gradients are products with the Jacobian of each row."""

from collections.abc import Callable

import numpy as np

from alpha_core.errors import ShapeError
from alpha_core.tensor import Shape
from alpha_testkit.compare import Tolerance
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample
from alpha_testkit.op_cases.draw import Generator, normal, over_shapes, positive

__all__ = ["CASES"]

NORMALIZED = Tolerance(16, "two means, a division and a root, of up to 257 values", of_largest=True)
FAR_MEAN = Tolerance(
    4000,
    "the mean is rounded at 1,000 times the size of the deviations (E[x^2] - E[x]^2 would lose 10^6)",
    of_largest=True,
)

ROWS: dict[str, Shape] = {
    "vector": (7,),
    "odd": (3, 5, 7),
    "ones": (1, 4, 3),
    "empty": (0, 3),
    "tiles": (33, 65),
    "long": (2, 257),
}
EPS = 1e-5


def _normalized(x: Array, eps: float, centre: bool) -> tuple[Array, Array]:
    """Returns the normalized rows and the factor 1 / sqrt(mean square + eps) of each row."""
    moved = x - np.mean(x, axis=-1, keepdims=True) if centre else x
    factor = 1.0 / np.sqrt(np.mean(moved**2, axis=-1, keepdims=True) + eps)
    return moved * factor, factor


def _jacobian_product(grad: Array, x: Array, eps: float, centre: bool) -> Array:
    """d n_i / d x_j = (delta_ij - [1/E if centred] - n_i n_j / E) * factor."""
    n, factor = _normalized(x, eps, centre)
    width = x.shape[-1]
    jacobian = np.eye(width) - (1.0 / width if centre else 0.0) - n[..., :, None] * n[..., None, :] / width
    return np.asarray(np.einsum("...i,...ij->...j", grad, jacobian) * factor)


def _layer_norm(x: Array, weight: Array, bias: Array | None, eps: float = EPS) -> Array:
    scaled = _normalized(x, eps, True)[0] * weight
    return scaled if bias is None else scaled + bias


def _layer_norm_grad(grad: Array, x: Array, weight: Array, eps: float = EPS) -> tuple[Array, Array, Array]:
    lead = tuple(range(x.ndim - 1))
    dweight = np.sum(grad * _normalized(x, eps, True)[0], axis=lead)
    return _jacobian_product(grad * weight, x, eps, True), dweight, np.sum(grad, axis=lead)


def _rms_norm(x: Array, weight: Array, eps: float = EPS) -> Array:
    return _normalized(x, eps, False)[0] * weight


def _rms_norm_grad(grad: Array, x: Array, weight: Array, eps: float = EPS) -> tuple[Array, Array]:
    lead = tuple(range(x.ndim - 1))
    dweight = np.sum(grad * _normalized(x, eps, False)[0], axis=lead)
    return _jacobian_product(grad * weight, x, eps, False), dweight


def _rows(rng: Generator, shape: Shape, bias: bool) -> Arguments:
    arguments = {"x": normal(rng, *shape) + 0.5, "weight": positive(rng, shape[-1])}
    return {**arguments, "bias": normal(rng, shape[-1])} if bias else arguments


def _rows_grad(rng: Generator, shape: Shape) -> Arguments:
    return {"grad": normal(rng, *shape), **_rows(rng, shape, False)}


def _offset(rng: Generator) -> Arguments:
    return {"x": normal(rng, 5, 65) + 1000.0, "weight": positive(rng, 65)}


def _poisoned(rng: Generator) -> Arguments:
    x = normal(rng, 5, 65)
    x[0, -1], x[2, 0], x[3, -1] = np.nan, np.inf, -np.inf
    return {"x": x, "weight": positive(rng, 65)}


def _wrong(bias: bool, grad: bool) -> tuple[ErrorCase, ...]:
    """A weight, a bias or a gradient of the wrong length."""

    def case(name: str, **wrong: Callable[[Generator], Array | None]) -> ErrorCase:
        def draw(rng: Generator) -> Arguments:
            arguments: Arguments = {"grad": normal(rng, 3, 5)} if grad else {}
            arguments |= {"x": normal(rng, 3, 5), "weight": normal(rng, 5)}
            arguments |= {"bias": normal(rng, 5)} if bias else {}
            return arguments | {key: make(rng) for key, make in wrong.items()}

        return ErrorCase(name, draw, ShapeError)

    cases = [case("weight", weight=lambda rng: normal(rng, 4)), case("weight-one", weight=lambda rng: normal(rng, 1))]
    if bias:
        cases += [case("bias", bias=lambda rng: normal(rng, 4)), case("bias-one", bias=lambda rng: normal(rng, 1))]
    if grad:
        cases += [case("grad", grad=lambda rng: normal(rng, 3, 4))]
    return tuple(cases)


CASES = (
    OpCase(
        name="layer_norm",
        reference=_layer_norm,
        tolerance=NORMALIZED,
        samples=(
            *over_shapes(lambda rng, shape: _rows(rng, shape, True), ROWS),
            Sample("no-bias", lambda rng: {**_rows(rng, (3, 5), False), "bias": None}),
            Sample("eps", lambda rng: {**_rows(rng, (3, 5), True), "eps": 0.25}),
            Sample("one-channel", lambda rng: _rows(rng, (3, 1), True)),
            Sample("constant", lambda rng: {**_rows(rng, (3, 8), True), "x": np.full((3, 8), 0.5)}, gradient=False),
            Sample("far-mean", lambda rng: {**_offset(rng), "bias": None}, FAR_MEAN, gradient=False),
        ),
        non_finite=(Sample("rows", lambda rng: {**_poisoned(rng), "bias": np.zeros(65)}),),
        errors=_wrong(True, False),
        differentiable=("x", "weight", "bias"),
    ),
    OpCase(
        name="layer_norm_grad",
        reference=_layer_norm_grad,
        tolerance=NORMALIZED,
        samples=(
            *over_shapes(_rows_grad, ROWS),
            Sample("eps", lambda rng: {**_rows_grad(rng, (3, 5)), "eps": 0.25}),
            Sample("far-mean", lambda rng: {"grad": normal(rng, 5, 65), **_offset(rng)}, FAR_MEAN),
        ),
        errors=_wrong(False, True),
    ),
    OpCase(
        name="rms_norm",
        reference=_rms_norm,
        tolerance=NORMALIZED,
        samples=(
            *over_shapes(lambda rng, shape: _rows(rng, shape, False), ROWS),
            Sample("eps", lambda rng: {**_rows(rng, (3, 5), False), "eps": 0.25}),
            Sample("one-channel", lambda rng: _rows(rng, (3, 1), False), gradient=False),  # 1 - n * n cancels
            Sample("zero", lambda rng: {**_rows(rng, (3, 8), False), "x": np.zeros((3, 8))}, gradient=False),
        ),
        non_finite=(Sample("rows", _poisoned),),
        errors=_wrong(False, False),
        differentiable=("x", "weight"),
    ),
    OpCase(
        name="rms_norm_grad",
        reference=_rms_norm_grad,
        tolerance=NORMALIZED,
        samples=(
            *over_shapes(_rows_grad, ROWS),
            Sample("eps", lambda rng: {**_rows_grad(rng, (3, 5)), "eps": 0.25}),
        ),
        errors=_wrong(False, True),
    ),
)
