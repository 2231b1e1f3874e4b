"""What this package registers with Alpha: sinks that report elsewhere, and the command group `remote`."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alpha_core.descriptors import MetricSinkInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp
    from alpha_core.observer import MetricSink


def _load_remote() -> "type[MetricSink]":
    from alpha_report.remote_sink import RemoteSink

    return RemoteSink


def _load_discord() -> "type[MetricSink]":
    from alpha_report.discord_sink import DiscordSink

    return DiscordSink


def _load_tensorboard() -> "type[MetricSink]":
    from alpha_report.tensorboard_sink import TensorBoardSink

    return TensorBoardSink


def _load_wandb() -> "type[MetricSink]":
    from alpha_report.wandb_sink import WandbSink

    return WandbSink


def _load_trackio() -> "type[MetricSink]":
    from alpha_report.wandb_sink import TrackioSink

    return TrackioSink


def _load_mlflow() -> "type[MetricSink]":
    from alpha_report.mlflow_sink import MlflowSink

    return MlflowSink


def _without(module: str, extra: str) -> Callable[[], str | None]:
    """Returns what tells whether a module of an extra is missing, without importing it."""
    text = f"it needs `{module}`: pip install 'alpha-report[{extra}]'"
    return lambda: None if find_spec(module) is not None else text


@hookimpl
def register_metric_sinks() -> list[MetricSinkInfo]:
    return [
        MetricSinkInfo(
            name="remote", summary="an Alpha server (`alpha ingest serve`)", load=_load_remote, finish_seconds=30.0
        ),
        MetricSinkInfo(name="discord", summary="start, samples and end in a Discord channel", load=_load_discord),
        MetricSinkInfo(
            name="tensorboard",
            summary="TensorBoard's event files in the run folder",
            load=_load_tensorboard,
            unavailable=_without("tensorboardX", "tensorboard"),
        ),
        MetricSinkInfo(
            name="wandb",
            summary="Weights & Biases",
            load=_load_wandb,
            unavailable=_without("wandb", "wandb"),
            finish_seconds=60.0,
        ),
        MetricSinkInfo(
            name="trackio",
            summary="Trackio, local by default",
            load=_load_trackio,
            unavailable=_without("trackio", "trackio"),
            finish_seconds=60.0,
        ),
        MetricSinkInfo(
            name="mlflow",
            summary="an MLflow server or store",
            load=_load_mlflow,
            unavailable=_without("mlflow", "mlflow"),
            finish_seconds=30.0,
        ),
    ]


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_report.commands import add_commands

    add_commands(app)
