"""The activation that a model is built with: its expression, and whether the MLP is gated."""

from typing import Any

import attrs

from alpha_core.descriptors import ActivationInfo
from alpha_core.errors import OpError, UnknownNameError
from alpha_core.expression import Expression
from alpha_core.expression_json import expression_from_json
from alpha_core.suggest import did_you_mean
from alpha_model.plugin import register_activations

__all__ = ["Activation"]


@attrs.frozen
class Activation:
    """An expression, and whether it acts on a gate (`act(gate(x)) * up(x)`)."""

    expression: Expression
    gated: bool = False

    @classmethod
    def of(cls, info: ActivationInfo) -> "Activation":
        """Loads what a plugin registered."""
        return cls(info.load(), info.gated)

    @classmethod
    def builtin(cls, name: str) -> "Activation":
        """Returns an activation of this package by name, without looking for plugins."""
        known = {info.name: info for info in register_activations()}
        if name not in known:
            raise UnknownNameError(
                f"activation `{name}` is not built in; built in are {', '.join(known)}",
                hint=did_you_mean(name, known) or "pass `Activation.of(plugins.activations.get(name))` for a plugin's",
            )
        return cls.of(known[name])

    def to_json(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps, so that it loads without the plugin."""
        return {"expression": self.expression.to_json(), "gated": self.gated}

    @classmethod
    def from_json(cls, data: Any) -> "Activation":
        """Reads what `to_json` wrote; raises `OpError` for anything else."""
        if not isinstance(data, dict) or not isinstance(data.get("gated"), bool) or "expression" not in data:
            raise OpError("an activation is stored as an object with `expression` and `gated`")
        return cls(expression_from_json(data["expression"]), data["gated"])
