"""What this package registers with Alpha: commands about Alpha itself, and the `console` sink."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alpha_core.descriptors import MetricSinkInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp
    from alpha_core.observer import MetricSink


def _console_sink() -> "type[MetricSink]":
    from alpha_cli.console_sink import ConsoleSink

    return ConsoleSink


@hookimpl
def register_metric_sinks() -> Sequence[MetricSinkInfo]:
    summary = "Live progress in a terminal, plain lines elsewhere."
    return [MetricSinkInfo(name="console", summary=summary, load=_console_sink)]


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_cli.completion_command import add_completion_commands
    from alpha_cli.config_command import add_config_commands
    from alpha_cli.plugins_command import add_commands

    add_commands(app)
    add_config_commands(app)
    add_completion_commands(app)
