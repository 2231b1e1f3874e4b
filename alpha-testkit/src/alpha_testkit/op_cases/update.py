"""Cases of the ops that write in place. A reference returns the new contents of what is written."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, OpError, ShapeError
from alpha_testkit.compare import EXACT, Tolerance
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample, Stored
from alpha_testkit.op_cases.draw import SHAPES, SPECIAL, Generator, normal, over_shapes, positive

__all__ = ["CASES"]

STEPPED = Tolerance(16, "about ten roundings, two of them in divisions and one in a root", of_largest=True)
LION = {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}
SGD = {"momentum": 0.9, "nesterov": False, "weight_decay": 0.1}
SETTINGS = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1}


def _adamw(
    parameters: list[Array],
    gradients: list[Array],
    first_moments: list[Array],
    second_moments: list[Array],
    learning_rate: Array,
    correction1: Array,
    correction2: Array,
    gradient_scale: Array,
    apply: Array,
    *,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> dict[str, list[Array]]:
    """Loshchilov, Hutter 2019, algorithm 2, with decay in front as there."""
    result: dict[str, list[Array]] = {"parameters": [], "first_moments": [], "second_moments": []}
    for p, g, m, v in zip(parameters, gradients, first_moments, second_moments, strict=True):
        if apply != 0:
            scaled = g * gradient_scale
            m, v = beta1 * m + (1 - beta1) * scaled, beta2 * v + (1 - beta2) * scaled**2
            decayed = p * (1 - learning_rate * weight_decay)
            p = decayed - learning_rate * (m / correction1) / (np.sqrt(v / correction2) + eps)
        for name, value in zip(result, (p, m, v), strict=True):
            result[name].append(value)
    return result


def _stepped(apply: float = 1.0, step: int = 3, gradient: Any = None, **settings: float) -> Callable[..., Arguments]:
    def draw(rng: Generator) -> Arguments:
        shapes = list(SHAPES.values())
        drawn = (
            [normal(rng, *shape) for shape in shapes] if gradient is None else [np.full(s, gradient) for s in shapes]
        )
        fresh = step == 1
        return {
            "parameters": [normal(rng, *shape) for shape in shapes],
            "gradients": drawn,
            "first_moments": [np.zeros(shape) if fresh else normal(rng, *shape) for shape in shapes],
            "second_moments": [np.zeros(shape) if fresh else positive(rng, *shape) for shape in shapes],
            "learning_rate": np.array(0.015625),
            "correction1": np.array(1 - 0.9**step),
            "correction2": np.array(1 - 0.95**step),
            "gradient_scale": np.array(0.3125),
            "apply": np.array(apply),
            **SETTINGS,
            **settings,
        }

    return draw


def _lion(
    parameters: list[Array],
    gradients: list[Array],
    moments: list[Array],
    learning_rate: Array,
    gradient_scale: Array,
    apply: Array,
    *,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> dict[str, list[Array]]:
    """Chen et al. 2023, algorithm 2, with decay in front."""
    result: dict[str, list[Array]] = {"parameters": [], "moments": []}
    for p, g, m in zip(parameters, gradients, moments, strict=True):
        if apply != 0:
            scaled = g * gradient_scale
            p = p * (1 - learning_rate * weight_decay) - learning_rate * np.sign(beta1 * m + (1 - beta1) * scaled)
            m = beta2 * m + (1 - beta2) * scaled
        for name, value in zip(result, (p, m), strict=True):
            result[name].append(value)
    return result


def _sgd(
    parameters: list[Array],
    gradients: list[Array],
    moments: list[Array],
    learning_rate: Array,
    gradient_scale: Array,
    apply: Array,
    *,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> dict[str, list[Array]]:
    """Sutskever et al. 2013, equations 1 to 4 in the form with the parameters themselves."""
    result: dict[str, list[Array]] = {"parameters": [], "moments": []}
    for p, g, m in zip(parameters, gradients, moments or [np.zeros(())] * len(parameters), strict=True):
        if apply != 0:
            m = momentum * m + g * gradient_scale
            step = g * gradient_scale + momentum * m if nesterov else m
            p = p * (1 - learning_rate * weight_decay) - learning_rate * step
        for name, value in zip(result, (p, m), strict=True):
            result[name].append(value)
    return result if momentum else {**result, "moments": []}


def _moved(apply: float = 1.0, gradient: Any = None, **settings: float | bool) -> Callable[..., Arguments]:
    """Arguments of an optimizer with one moment, or with `momentum` 0 with none."""

    def draw(rng: Generator) -> Arguments:
        drawn = _stepped(apply, gradient=gradient)(rng)
        names = ("parameters", "gradients", "learning_rate", "gradient_scale", "apply")
        moments = drawn["first_moments"] if settings.get("momentum") != 0.0 else []
        return {**{name: drawn[name] for name in names}, "moments": moments, **settings}

    return draw


def _unequal(draw: Callable[..., Arguments], short: str) -> Callable[..., Arguments]:
    """The same arguments with a list that lacks its last tensor."""

    def shortened(rng: Generator) -> Arguments:
        arguments = draw(rng)
        return {**arguments, short: arguments[short][:-1]}

    return shortened


def _misshapen(draw: Callable[..., Arguments]) -> Callable[..., Arguments]:
    """The same arguments with the gradient of one parameter in the place of another."""

    def changed(rng: Generator) -> Arguments:
        arguments = draw(rng)
        return {**arguments, "gradients": arguments["gradients"][::-1]}

    return changed


def _stepped_errors(draw: Callable[..., Arguments], moments: str) -> tuple[ErrorCase, ...]:
    return (
        ErrorCase("unequal-lists", _unequal(draw, "gradients"), OpError),
        ErrorCase("unequal-moments", _unequal(draw, moments), OpError),
        ErrorCase("shapes", _misshapen(draw), ShapeError),
    )


CASES = (
    OpCase(
        name="assign",
        reference=lambda destination, source: {"destination": source},
        tolerance=EXACT,
        storage=True,
        samples=over_shapes(lambda rng, shape: {"destination": normal(rng, *shape), "source": normal(rng, *shape)}),
        non_finite=(Sample("values", lambda rng: {"destination": np.ones(7), "source": SPECIAL}),),
        errors=(
            ErrorCase("shape", lambda rng: {"destination": normal(rng, 3), "source": normal(rng, 4)}, ShapeError),
            ErrorCase("broadcast", lambda rng: {"destination": normal(rng, 3), "source": normal(rng, 1)}, ShapeError),
            ErrorCase(
                "same-size", lambda rng: {"destination": normal(rng, 3), "source": normal(rng, 3, 1)}, ShapeError
            ),
            ErrorCase(
                "dtype",
                lambda rng: {"destination": normal(rng, 3), "source": Stored(normal(rng, 3), DType.f16)},
                DTypeError,
            ),
        ),
    ),
    OpCase(
        name="add_into",
        reference=lambda destination, source: {"destination": destination + source},
        tolerance=Tolerance(1, "one rounding"),
        samples=over_shapes(lambda rng, shape: {"destination": normal(rng, *shape), "source": normal(rng, *shape)}),
        non_finite=(Sample("values", lambda rng: {"destination": np.ones(7), "source": SPECIAL}),),
        errors=(
            ErrorCase("shape", lambda rng: {"destination": normal(rng, 3), "source": normal(rng, 4)}, ShapeError),
            ErrorCase("broadcast", lambda rng: {"destination": normal(rng, 3), "source": normal(rng, 1)}, ShapeError),
            ErrorCase("larger", lambda rng: {"destination": normal(rng, 3), "source": normal(rng, 2, 3)}, ShapeError),
            ErrorCase(
                "dtype",
                lambda rng: {"destination": normal(rng, 3), "source": Stored(normal(rng, 3), DType.f16)},
                DTypeError,
            ),
        ),
    ),
    OpCase(
        name="adamw_update",
        reference=_adamw,
        tolerance=STEPPED,
        samples=(
            Sample("later", _stepped(step=10)),
            Sample("first", _stepped(step=1)),
            Sample("no-decay", _stepped(weight_decay=0.0)),
            Sample("zero-gradient", _stepped(step=1, gradient=0.0)),
            Sample("large-eps", _stepped(eps=0.5)),
            Sample("not-applied", _stepped(apply=0.0), EXACT),
        ),
        non_finite=(
            Sample("nan-not-applied", _stepped(apply=0.0, gradient=np.nan), EXACT),
            Sample("infinity-not-applied", _stepped(apply=0.0, gradient=np.inf), EXACT),
        ),
        errors=_stepped_errors(_stepped(), "second_moments"),
    ),
    OpCase(
        name="lion_update",
        reference=_lion,
        tolerance=STEPPED,
        samples=(
            Sample("steps", _moved(**LION)),
            Sample("no-decay", _moved(**{**LION, "weight_decay": 0.0})),
            Sample("zero-gradient", _moved(gradient=0.0, **LION)),
            Sample("not-applied", _moved(apply=0.0, **LION), EXACT),
        ),
        non_finite=(
            Sample("nan-not-applied", _moved(apply=0.0, gradient=np.nan, **LION), EXACT),
            Sample("infinity-not-applied", _moved(apply=0.0, gradient=np.inf, **LION), EXACT),
        ),
        errors=_stepped_errors(_moved(**LION), "moments"),
    ),
    OpCase(
        name="sgd_update",
        reference=_sgd,
        tolerance=STEPPED,
        samples=(
            Sample("momentum", _moved(**SGD)),
            Sample("nesterov", _moved(**{**SGD, "nesterov": True})),
            Sample("plain", _moved(**{**SGD, "momentum": 0.0})),
            Sample("no-decay", _moved(**{**SGD, "weight_decay": 0.0})),
            Sample("not-applied", _moved(apply=0.0, **SGD), EXACT),
        ),
        non_finite=(
            Sample("nan-not-applied", _moved(apply=0.0, gradient=np.nan, **SGD), EXACT),
            Sample("infinity-not-applied", _moved(apply=0.0, gradient=np.inf, **SGD), EXACT),
        ),
        errors=_stepped_errors(_moved(**SGD), "moments"),
    ),
)
