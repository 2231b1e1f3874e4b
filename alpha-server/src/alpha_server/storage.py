"""What the server keeps: messages as rows of the database."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from alpha_core.errors import DatabaseError, DatabaseUnavailableError
from alpha_db.address import Address
from alpha_db.connection import Value
from alpha_db.database import Database
from alpha_db.row import Row, stored_value
from alpha_db.run_rows import checkpoint_row, config_columns, created_at, event_row, metrics_row, sample_row
from alpha_server.messages import Complete, Events, Heartbeat, Message, Metrics, RunStart, Samples, moment_of

__all__ = ["Storage", "rows_of"]

_MACHINE_COLUMNS = ("hostname", "cpu_count", "ram_total_mb", "os_platform", "gpu_name", "gpu_vendor", "gpu_vram_mb")


class Storage:
    """Writes into a database, which may come and go. For any number of threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._database: Database | None = None
        self._lock = threading.Lock()

    def add(self, messages: Iterable[Message]) -> None:
        """Stores messages, and returns when they are stored; twice does no harm. Raises `DatabaseError`."""
        self._write([row for message in messages for row in rows_of(message)])

    def add_checkpoint(self, run_id: str, step: int, path: Path) -> None:
        """Stores that a checkpoint is here. Raises `DatabaseError`."""
        self._write([checkpoint_row(run_id, step, path)])

    def check(self) -> None:
        """Raises `DatabaseError` if nothing can be stored now."""
        with self._lock:
            self._opened().read("SELECT 1")

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _write(self, rows: list[Row]) -> None:
        with self._lock:
            try:
                self._opened().write(rows)
            except DatabaseUnavailableError:
                raise
            except DatabaseError:  # such as a file that was replaced: look at it afresh
                if self._database is not None:
                    self._database.close()
                    self._database = None
                raise

    def _opened(self) -> Database:
        if self._database is None:
            self._database = Database.open(self.address)
        return self._database


def rows_of(message: Message) -> Iterator[Row]:
    """Yields a message as rows."""
    match message:
        case RunStart():
            yield _start_row(message)
        case Metrics():
            for metrics in message.rows:
                yield metrics_row(message.run_id, metrics)
        case Heartbeat():
            yield Row("runs", {"run_id": message.run_id, "status": "active"})
        case Samples():
            for index, sample in message.samples:
                yield sample_row(message.run_id, message.step, index, sample)
        case Events():
            for event in message.events:
                yield event_row(message.run_id, event)
                if event.kind == "checkpoint_saved":
                    name = f"checkpoint-{event.step}.alph"
                    key: dict[str, Value] = {"run_id": message.run_id, "step": event.step}
                    yield Row("checkpoints", {**key, "filename": name, "created_at": event.time})
        case Complete():
            yield Row(
                "runs", {"run_id": message.run_id, "status": message.status, "error": stored_value(message.error)}
            )


def _start_row(start: RunStart) -> Row:
    values = {
        "run_id": start.run_id,
        **config_columns(start.config),
        **{column: start.infra[column] for column in _MACHINE_COLUMNS if column in start.infra},
        "estimated_params": start.parameters,
        "status": "active",
        "error": None,
        "folder": start.folder,
        "created_at": created_at(start.run_id, moment_of(start.time)),
    }
    if start.infra.get("backend"):
        values["backend"] = start.infra["backend"]
    return Row("runs", {column: stored_value(value) for column, value in values.items()})
