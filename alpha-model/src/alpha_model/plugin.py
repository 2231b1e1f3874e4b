"""What this package registers with Alpha: the activations."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from alpha_core.descriptors import ActivationInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.expression import Expression

_SUMMARIES = {
    "gelu": "Gaussian error linear unit, tanh form",
    "silu": "x sigmoid(x), also called swish",
    "relu": "max(x, 0)",
    "relu2": "max(x, 0) squared",
    "universal": "silu with a learned gate and skip for each channel",
    "kan": "learned sum of silu, relu, gelu, x and x^2 for each channel",
    "rational": "learned quotient of polynomials for each channel",
}


def _loader(name: str) -> "Callable[[], Expression]":
    def load() -> "Expression":
        from alpha_model import activations

        expression: Expression = getattr(activations, name)()
        return expression

    return load


@hookimpl
def register_activations() -> list[ActivationInfo]:
    """The built-in activations, and `swiglu`: a gated MLP with silu."""
    plain = [ActivationInfo(name=name, summary=summary, load=_loader(name)) for name, summary in _SUMMARIES.items()]
    gated = ActivationInfo(
        name="swiglu", summary="gated MLP: silu(gate) times up (Shazeer 2020)", load=_loader("silu"), gated=True
    )
    return [*plain, gated]
