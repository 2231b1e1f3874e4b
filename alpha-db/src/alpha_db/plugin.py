"""What this package registers with Alpha: the sink `db`, the commands `alpha db`, and the database of `alpha runs`."""

from pathlib import Path
from typing import TYPE_CHECKING

from alpha_core.descriptors import MetricSinkInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp
    from alpha_core.observer import MetricSink
    from alpha_core.run_store import RunStore


def _load_db() -> "type[MetricSink]":
    from alpha_db.sink import DbSink

    return DbSink


@hookimpl
def register_metric_sinks() -> list[MetricSinkInfo]:
    return [
        MetricSinkInfo(
            name="db", summary="the database of runs, a file or a server", load=_load_db, finish_seconds=15.0
        )
    ]


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_db.commands import add_commands

    add_commands(app)


@hookimpl
def choose_run_store(runs: Path) -> "RunStore | None":
    from alpha_db.run_store import open_run_store

    return open_run_store(runs)
