"""What this package registers with Alpha: domains, optimizers, schedules, sinks of files, and commands."""

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


def _load_lion() -> "type[Optimizer]":
    from alpha_train.optimizers.lion import Lion

    return Lion


def _load_adafactor() -> "type[Optimizer]":
    from alpha_train.optimizers.adafactor import Adafactor

    return Adafactor


def _load_sgd() -> "type[Optimizer]":
    from alpha_train.optimizers.sgd import SGD

    return SGD


def _load_muon() -> "type[Optimizer]":
    from alpha_train.optimizers.muon import Muon

    return Muon


def _load_cosine() -> "Schedule":
    from alpha_train.schedules import cosine

    return cosine


def _load_linear() -> "Schedule":
    from alpha_train.schedules import linear

    return linear


def _load_constant() -> "Schedule":
    from alpha_train.schedules import constant

    return constant


def _load_wsd() -> "Schedule":
    from alpha_train.schedules import wsd

    return wsd


def _load_jsonl() -> "type[MetricSink]":
    from alpha_train.jsonl_sink import JsonlSink

    return JsonlSink


def _load_csv() -> "type[MetricSink]":
    from alpha_train.csv_sink import CsvSink

    return CsvSink


@hookimpl
def register_domains() -> list[DomainInfo]:
    from alpha_train.domains import DOMAINS

    return list(DOMAINS)


@hookimpl
def register_optimizers() -> list[OptimizerInfo]:
    return [
        OptimizerInfo(name="adamw", summary="Adam with decoupled weight decay", load=_load_adamw),
        OptimizerInfo(
            name="lion",
            summary="the sign of an average of gradients; half of adamw's memory",
            load=_load_lion,
            defaults={"lr": 1e-4, "beta1": 0.9, "beta2": 0.99},
        ),
        OptimizerInfo(
            name="adafactor",
            summary="factored second moments; next to no memory; lr is relative to a parameter's size",
            load=_load_adafactor,
            defaults={"lr": 0.01, "beta2": 0.999, "eps": 1e-30},
        ),
        OptimizerInfo(name="sgd", summary="gradient descent with momentum", load=_load_sgd, defaults={"lr": 0.01}),
        OptimizerInfo(
            name="muon",
            summary="orthogonalized momentum for hidden matrices, adamw for the rest",
            load=_load_muon,
            defaults={"momentum": 0.95, "nesterov": True},
        ),
    ]


@hookimpl
def register_schedules() -> list[ScheduleInfo]:
    return [
        ScheduleInfo(name="cosine", summary="linear warm-up, then half a cosine down to lr-min", load=_load_cosine),
        ScheduleInfo(name="linear", summary="linear warm-up, then a straight line down to lr-min", load=_load_linear),
        ScheduleInfo(name="constant", summary="linear warm-up, then lr", load=_load_constant),
        ScheduleInfo(name="wsd", summary="linear warm-up, then lr, at last a straight line to lr-min", load=_load_wsd),
    ]


@hookimpl
def register_metric_sinks() -> list[MetricSinkInfo]:
    return [
        MetricSinkInfo(name="jsonl", summary="JSON Lines in the run folder", load=_load_jsonl),
        MetricSinkInfo(name="csv", summary="a table of the metrics in the run folder", load=_load_csv),
    ]


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_train.commands import add_commands

    add_commands(app)
