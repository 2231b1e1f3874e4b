"""Cases of softmax and cross-entropy. References of gradients are products with the Jacobian of each row."""

from collections.abc import Callable

import numpy as np

from alpha_core.errors import DTypeError, ShapeError
from alpha_core.tensor import Shape
from alpha_testkit.compare import Tolerance
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample
from alpha_testkit.op_cases.draw import Generator, integers, normal, over_shapes

__all__ = ["CASES", "log_softmax", "softmax"]

EXPONENTIALS = Tolerance(
    16,
    "an exponential (GPUs: 3 + 2|x| units), a sum and a division; what is small stands beside what is 1",
    of_largest=True,
)

ROWS: dict[str, Shape] = {
    "vector": (7,),
    "odd": (3, 5, 7),
    "one-class": (4, 1),
    "empty": (0, 3),
    "tiles": (33, 65),
    "long": (2, 1025),
}


def softmax(x: Array) -> Array:
    """exp(x) / sum exp(x), in extended form: a largest value is taken off first."""
    exponentials = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return np.asarray(exponentials / np.sum(exponentials, axis=-1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """x - log sum exp(x)."""
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True)))


def _softmax_grad(grad: Array, out: Array) -> Array:
    jacobian = np.eye(out.shape[-1]) * out[..., None, :] - out[..., :, None] * out[..., None, :]
    return np.asarray(np.einsum("...i,...ij->...j", grad, jacobian))


def _log_softmax_grad(grad: Array, out: Array) -> Array:
    jacobian = np.eye(out.shape[-1]) - np.exp(out)[..., None, :]
    return np.asarray(np.einsum("...i,...ij->...j", grad, jacobian))


def _cross_entropy(logits: Array, targets: Array, ignore_index: int = -1) -> Array:
    losses = [
        0.0 if target == ignore_index else -log_softmax(row)[target]
        for row, target in zip(logits, targets, strict=True)
    ]
    return np.array(losses, dtype=np.float64)


def _cross_entropy_grad(grad: Array, logits: Array, targets: Array, ignore_index: int = -1) -> Array:
    result = np.zeros_like(logits)
    for i, target in enumerate(targets):
        if target != ignore_index:
            result[i] = grad[i] * (softmax(logits[i]) - (np.arange(logits.shape[1]) == target))
    return result


def _drawn_after(function: Callable[[Array], Array]) -> Callable[[Generator, Shape], Arguments]:
    def draw(rng: Generator, shape: Shape) -> Arguments:
        return {"grad": normal(rng, *shape), "out": function(normal(rng, *shape, scale=2.0))}

    return draw


def _classified(rows: int, classes: int, ignored: int = 0, scale: float = 2.0) -> Callable[[Generator], Arguments]:
    def draw(rng: Generator) -> Arguments:
        targets = integers(rng, 0, classes, rows)
        targets[:ignored] = -1
        return {"logits": normal(rng, rows, classes, scale=scale), "targets": targets}

    return draw


def _classified_grad(rows: int, classes: int, ignored: int = 0) -> Callable[[Generator], Arguments]:
    return lambda rng: {"grad": normal(rng, rows), **_classified(rows, classes, ignored)(rng)}


def _poisoned(x: Array) -> Array:
    """NaN and infinities where a backend's last, incomplete vector would be, and a whole row of -inf."""
    x[0, -1], x[1, -1], x[2, -1], x[3, 0], x[4] = np.nan, np.inf, -np.inf, -np.inf, -np.inf
    return x


def _ignored_rows(rng: Generator) -> Arguments:
    logits = normal(rng, 4, 5)
    logits[0], logits[2, 1] = np.nan, -np.inf
    return {"logits": logits, "targets": np.array([-1, 2, 3, 4], np.int32)}


def _infinite_loss(rng: Generator) -> Arguments:
    return {"logits": np.array([[0.0, -np.inf, 1.0], [0.0, np.nan, 1.0]]), "targets": np.array([1, 0], np.int32)}


NON_FINITE = Sample("rows", lambda rng: {"x": _poisoned(normal(rng, 6, 65))})
SHAPE_ERROR = ErrorCase("shapes", lambda rng: {"grad": normal(rng, 3, 4), "out": normal(rng, 3, 5)}, ShapeError)
FLOATING_ONLY = ErrorCase("integer", lambda rng: {"x": integers(rng, 0, 9, 3, 5)}, DTypeError)
NO_ELEMENTS = ErrorCase("no-elements", lambda rng: {"x": np.zeros((3, 0))}, ShapeError)
LARGE = Sample("large", lambda rng: {"x": normal(rng, 5, 33, scale=1e4)})
CLASSIFIED: dict[str, tuple[int, int, int]] = {
    "odd": (5, 7, 0),
    "one-class": (3, 1, 0),
    "one-row": (1, 9, 0),
    "ignored": (6, 5, 2),
    "all-ignored": (3, 5, 3),
    "empty": (0, 5, 0),
    "tiles": (33, 65, 3),
    "long": (2, 1025, 0),
}

CASES = (
    OpCase(
        name="softmax",
        reference=softmax,
        tolerance=EXPONENTIALS,
        samples=(*over_shapes(lambda rng, shape: {"x": normal(rng, *shape, scale=2.0)}, ROWS), LARGE),
        non_finite=(NON_FINITE,),
        errors=(FLOATING_ONLY, NO_ELEMENTS),
        differentiable=("x",),
    ),
    OpCase(
        name="softmax_grad",
        reference=_softmax_grad,
        tolerance=EXPONENTIALS,
        samples=over_shapes(_drawn_after(softmax), {**ROWS, "long": (1, 257)}),
        errors=(SHAPE_ERROR,),
    ),
    OpCase(
        name="log_softmax",
        reference=log_softmax,
        tolerance=EXPONENTIALS,
        samples=(*over_shapes(lambda rng, shape: {"x": normal(rng, *shape, scale=2.0)}, ROWS), LARGE),
        non_finite=(NON_FINITE,),
        errors=(FLOATING_ONLY, NO_ELEMENTS),
        differentiable=("x",),
    ),
    OpCase(
        name="log_softmax_grad",
        reference=_log_softmax_grad,
        tolerance=EXPONENTIALS,
        samples=over_shapes(_drawn_after(log_softmax), {**ROWS, "long": (1, 257)}),
        errors=(SHAPE_ERROR,),
    ),
    OpCase(
        name="cross_entropy",
        reference=_cross_entropy,
        tolerance=EXPONENTIALS,
        samples=(
            *(Sample(name, _classified(*arguments)) for name, arguments in CLASSIFIED.items()),
            Sample("large", _classified(5, 33, scale=1e4)),
            Sample(
                "ignore-class",
                lambda rng: {"logits": normal(rng, 6, 3), "targets": integers(rng, 0, 3, 6), "ignore_index": 1},
            ),
            Sample(
                "ignore-outside",
                lambda rng: {
                    "logits": normal(rng, 2, 3),
                    "targets": np.array([-100, 2], np.int32),
                    "ignore_index": -100,
                },
            ),
        ),
        non_finite=(Sample("ignored-rows", _ignored_rows), Sample("infinite-loss", _infinite_loss)),
        errors=(
            ErrorCase(
                "targets-dtype", lambda rng: {"logits": normal(rng, 3, 5), "targets": normal(rng, 3)}, DTypeError
            ),
            ErrorCase(
                "targets-shape",
                lambda rng: {"logits": normal(rng, 3, 5), "targets": integers(rng, 0, 5, 4)},
                ShapeError,
            ),
            ErrorCase(
                "logits-shape",
                lambda rng: {"logits": normal(rng, 3, 2, 5), "targets": integers(rng, 0, 2, 3)},
                ShapeError,
            ),
            ErrorCase(
                "no-classes", lambda rng: {"logits": np.zeros((3, 0)), "targets": np.full(3, -1, np.int32)}, ShapeError
            ),
        ),
        differentiable=("logits",),
    ),
    OpCase(
        name="cross_entropy_grad",
        reference=_cross_entropy_grad,
        tolerance=EXPONENTIALS,
        samples=(
            *(Sample(name, _classified_grad(*arguments)) for name, arguments in CLASSIFIED.items()),
            Sample("ignore-class", lambda rng: {"grad": normal(rng, 5), **_classified(5, 3)(rng), "ignore_index": 1}),
        ),
        non_finite=(Sample("ignored-rows", lambda rng: {"grad": normal(rng, 4), **_ignored_rows(rng)}),),
        errors=(
            ErrorCase(
                "targets-dtype",
                lambda rng: {"grad": normal(rng, 3), "logits": normal(rng, 3, 5), "targets": normal(rng, 3)},
                DTypeError,
            ),
            ErrorCase(
                "grad-shape",
                lambda rng: {"grad": normal(rng, 4), "logits": normal(rng, 3, 5), "targets": integers(rng, 0, 5, 3)},
                ShapeError,
            ),
        ),
    ),
)
