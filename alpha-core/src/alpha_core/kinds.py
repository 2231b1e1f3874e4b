"""The kinds of parts that plugins bring, one row each: the hook that registers them, and what messages call them."""

from typing import Any, Generic, TypeVar

import attrs

from alpha_core.descriptors import (
    ActivationInfo,
    BackendInfo,
    DomainInfo,
    Info,
    MetricSinkInfo,
    OptimizerInfo,
    ScheduleInfo,
    TokenizerInfo,
)
from alpha_core.errors import AlphaError, BackendError, PluginError

__all__ = [
    "ACTIVATION",
    "BACKEND",
    "COMMANDS",
    "DOMAIN",
    "KINDS",
    "METRIC_SINK",
    "OPTIMIZER",
    "SCHEDULE",
    "TOKENIZER",
    "Kind",
    "label_of",
]

T = TypeVar("T", bound=Info)

COMMANDS = "commands"
"""Commands are registered on an app and not by descriptors, so they have no row; this is their name in listings."""


@attrs.frozen(kw_only=True)
class Kind(Generic[T]):
    """One kind of part."""

    name: str
    """Plural; the attribute of `Plugins` and the end of the hook's name: `backends`, `register_backends`."""
    label: str
    """Singular, as messages say it."""
    info: type[T]
    """The descriptor class that the hook returns."""
    unavailable_error: type[AlphaError] = PluginError
    """What using an unavailable part raises."""
    checks: tuple[str, ...] = ("unavailable",)
    """The functions of the descriptor that return a reason or None."""
    loads: tuple[str, ...] = ("load",)
    """The functions of the descriptor that return a part; all but `load` may be None."""

    @property
    def hook(self) -> str:
        return f"register_{self.name}"


BACKEND = Kind(
    name="backends",
    label="backend",
    info=BackendInfo,
    unavailable_error=BackendError,
    checks=("unavailable", "unsuited"),
    loads=("load", "load_planner"),
)
TOKENIZER = Kind(name="tokenizers", label="tokenizer", info=TokenizerInfo)
ACTIVATION = Kind(name="activations", label="activation", info=ActivationInfo)
OPTIMIZER = Kind(name="optimizers", label="optimizer", info=OptimizerInfo)
SCHEDULE = Kind(name="schedules", label="schedule", info=ScheduleInfo)
METRIC_SINK = Kind(name="metric_sinks", label="metric sink", info=MetricSinkInfo)
DOMAIN = Kind(name="domains", label="domain", info=DomainInfo)

KINDS: tuple[Kind[Any], ...] = (BACKEND, TOKENIZER, ACTIVATION, OPTIMIZER, SCHEDULE, METRIC_SINK, DOMAIN)


def label_of(kind: str) -> str:
    """Returns the singular of a kind's name, `command` among them."""
    return {COMMANDS: "command", **{row.name: row.label for row in KINDS}}[kind]
