"""What this package registers with Alpha. Imported by every `alpha` command, so the parts are imported on use."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from alpha_core.descriptors import (
    ActivationInfo,
    BackendInfo,
    DomainInfo,
    MetricSinkInfo,
    OptimizerInfo,
    ScheduleInfo,
    TokenizerInfo,
)
from alpha_core.hookspecs import hookimpl
from alpha_core.tokenizer import END_OF_TEXT

if TYPE_CHECKING:
    from alpha_core.backend import Backend
    from alpha_core.command import CommandApp
    from alpha_core.config import DomainConfig
    from alpha_core.expression import Expression
    from alpha_core.observer import MetricSink
    from alpha_core.optimizer import Optimizer
    from alpha_core.schedule import Schedule
    from alpha_core.tokenizer import Tokenizer


def _load_plain() -> "Backend":
    from alpha_example.backend import PlainBackend

    return PlainBackend()


def _load_bytes() -> "type[Tokenizer]":
    from alpha_example.tokenizer import ByteTokenizer

    return ByteTokenizer


def _load_leaky_squareplus() -> "Expression":
    from alpha_example.activation import leaky_squareplus

    return leaky_squareplus()


def _load_rmsprop() -> "type[Optimizer]":
    from alpha_example.optimizer import RMSProp

    return RMSProp


def _load_inverse_sqrt() -> "Schedule":
    from alpha_example.schedule import inverse_sqrt

    return inverse_sqrt


def _load_report() -> "type[MetricSink]":
    from alpha_example.sink import ReportSink

    return ReportSink


def _load_rhymes() -> "DomainConfig":
    from alpha_example.domain import rhymes

    return rhymes()


@hookimpl
def register_backends() -> list[BackendInfo]:
    """Without a priority, `auto` prefers what is faster."""
    return [BackendInfo(name="plain", summary="numpy, f32, only what a backend must have", load=_load_plain)]


@hookimpl
def register_tokenizers() -> list[TokenizerInfo]:
    return [
        TokenizerInfo(name="bytes", summary="the bytes of UTF-8", load=_load_bytes, specials=(END_OF_TEXT,)),
    ]


@hookimpl
def register_activations() -> list[ActivationInfo]:
    return [
        ActivationInfo(
            name="leaky_squareplus",
            summary="(x + sqrt(x^2 + 4)) / 2, plus a learned multiple of x",
            load=_load_leaky_squareplus,
        )
    ]


@hookimpl
def register_optimizers() -> list[OptimizerInfo]:
    return [
        OptimizerInfo(
            name="rmsprop",
            summary="gradients over the root of their average square",
            load=_load_rmsprop,
            defaults={"lr": 1e-3, "beta2": 0.99},
        )
    ]


@hookimpl
def register_schedules() -> list[ScheduleInfo]:
    return [ScheduleInfo(name="inverse_sqrt", summary="warm-up, then 1 / sqrt(step)", load=_load_inverse_sqrt)]


@hookimpl
def register_metric_sinks() -> list[MetricSinkInfo]:
    return [MetricSinkInfo(name="report", summary="a readable report.md in the run folder", load=_load_report)]


@hookimpl
def register_domains() -> list[DomainInfo]:
    return [DomainInfo(name="rhymes", summary="nursery rhymes, which this package brings", load=_load_rhymes)]


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_core.config import TrainConfig

    group = app.group("example", help="Commands of the example plugin.")

    @group.config_command(
        "rates",
        configs=(TrainConfig,),
        help="Prints the learning rates that a training run would have.",
        examples=("alpha example rates --schedule=inverse_sqrt --iters=1000 --points=5",),
    )
    def rates(flags: Mapping[str, str], *, points: Annotated[int, "How many steps are shown."] = 10) -> None:
        from alpha_example.rates_command import print_rates

        print_rates(app.plugins, flags, points)
