"""Every hook of Alpha: one sentence and one typed signature each. `register_*` returns, `choose_*` decides."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from alpha_core.descriptors import (
    ActivationInfo,
    BackendInfo,
    DomainInfo,
    MetricSinkInfo,
    OptimizerInfo,
    ScheduleInfo,
    TokenizerInfo,
)

if TYPE_CHECKING:
    from alpha_core.command import CommandApp
    from alpha_core.run_store import RunStore

__all__ = [
    "choose_backend",
    "choose_run_store",
    "hookimpl",
    "hookspec",
    "register_activations",
    "register_backends",
    "register_commands",
    "register_domains",
    "register_metric_sinks",
    "register_optimizers",
    "register_schedules",
    "register_tokenizers",
]

hookspec = pluggy.HookspecMarker("alpha")
hookimpl = pluggy.HookimplMarker("alpha")


@hookspec
def register_backends() -> Sequence[BackendInfo]:  # type: ignore[empty-body]
    """Returns the backends that this plugin brings."""


@hookspec
def register_tokenizers() -> Sequence[TokenizerInfo]:  # type: ignore[empty-body]
    """Returns the tokenizers that this plugin brings."""


@hookspec
def register_activations() -> Sequence[ActivationInfo]:  # type: ignore[empty-body]
    """Returns the activations that this plugin brings."""


@hookspec
def register_optimizers() -> Sequence[OptimizerInfo]:  # type: ignore[empty-body]
    """Returns the optimizers that this plugin brings."""


@hookspec
def register_schedules() -> Sequence[ScheduleInfo]:  # type: ignore[empty-body]
    """Returns the learning-rate schedules that this plugin brings."""


@hookspec
def register_metric_sinks() -> Sequence[MetricSinkInfo]:  # type: ignore[empty-body]
    """Returns the metric sinks that this plugin brings."""


@hookspec
def register_domains() -> Sequence[DomainInfo]:  # type: ignore[empty-body]
    """Returns the domains (presets for one kind of text) that this plugin brings."""


@hookspec
def register_commands(app: "CommandApp") -> None:
    """Adds this plugin's commands to the `alpha` command line."""


@hookspec(firstresult=True)
def choose_backend(available: Sequence[BackendInfo]) -> str | None:
    """Picks the backend that `auto` means here, or returns None to leave the choice to the next plugin."""


@hookspec(firstresult=True)
def choose_run_store(runs: Path) -> "RunStore | None":
    """Opens the database that knows the runs of the folder `runs`, or returns None to leave it to the next plugin."""
