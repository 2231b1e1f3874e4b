"""What this package registers with Alpha: domains, the optimizer, the schedule, the `jsonl` sink, and commands."""

from typing import TYPE_CHECKING

from alpha_core.descriptors import DomainInfo, MetricSinkInfo, OptimizerInfo, ScheduleInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp
    from alpha_core.observer import MetricSink
    from alpha_core.optimizer import Optimizer
    from alpha_core.schedule import Schedule


def _load_adamw() -> "type[Optimizer]":
    from alpha_train.optimizers.adamw import AdamW

    return AdamW


def _load_cosine() -> "Schedule":
    from alpha_train.schedules import cosine

    return cosine


def _load_jsonl() -> "type[MetricSink]":
    from alpha_train.jsonl_sink import JsonlSink

    return JsonlSink


@hookimpl
def register_domains() -> list[DomainInfo]:
    from alpha_train.domains import DOMAINS

    return list(DOMAINS)


@hookimpl
def register_optimizers() -> list[OptimizerInfo]:
    return [OptimizerInfo(name="adamw", summary="Adam with decoupled weight decay", load=_load_adamw)]


@hookimpl
def register_schedules() -> list[ScheduleInfo]:
    return [ScheduleInfo(name="cosine", summary="linear warm-up, then half a cosine down to lr-min", load=_load_cosine)]


@hookimpl
def register_metric_sinks() -> list[MetricSinkInfo]:
    return [MetricSinkInfo(name="jsonl", summary="JSON Lines in the run folder", load=_load_jsonl)]


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_train.commands import add_commands

    add_commands(app)
