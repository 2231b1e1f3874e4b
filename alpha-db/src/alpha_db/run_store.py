"""The database as the place where `alpha runs` looks runs up."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from alpha_core.errors import DatabaseError
from alpha_core.run_store import RunStore, StoredCheckpoint, StoredRun
from alpha_db.address import default_address
from alpha_db.connection import Value
from alpha_db.database import Database, status_column
from alpha_db.schema import JSON_METRICS, METRIC_OF_COLUMN, TABLES

__all__ = ["DatabaseRuns", "metrics_of", "open_run_store"]

_RUN_COLUMNS = (
    *("run_id", "created_at", "folder", "hostname", "domain", "estimated_params", "total_iters"),
    *("best_val_loss", "best_step", "disk_mtime"),
)
_LAST_METRICS = ("step", "loss", "val_loss", "lr", "grad_norm", "elapsed_ms", "tokens_per_sec")


def open_run_store(runs: Path) -> RunStore | None:
    """Returns the database for the runs of a folder; None if it is a file that is not there."""
    address = default_address(runs)
    if address.path is not None and not address.path.exists():
        return None
    return DatabaseRuns(Database.open(address))


class DatabaseRuns(RunStore):
    """The runs of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def name(self) -> str:
        return str(self._database.address)

    def runs(self) -> list[StoredRun]:
        return self._runs("", ())

    def run(self, run_id: str) -> StoredRun | None:
        return next(iter(self._runs("WHERE r.run_id = ?", (run_id,))), None)

    def config(self, run_id: str) -> dict[str, Any]:
        sql = "SELECT domain, model_config, train_config, sample_config FROM runs WHERE run_id = ?"
        for domain, *sections in self._database.read(sql, (run_id,)):
            tables = zip(("model", "train", "sample"), map(_object, sections), strict=True)
            return {"domain": domain, **{name: table for name, table in tables if table is not None}}
        raise DatabaseError(f"the database `{self.name}` has no run `{run_id}`")

    def metrics(self, run_id: str, *, after: int = 0) -> list[Mapping[str, Any]]:
        columns = [column for column in TABLES["metrics"] if column != "run_id"]
        sql = f"SELECT {', '.join(columns)} FROM metrics WHERE run_id = ? AND step > ? ORDER BY step"
        return [metrics_of(columns, row) for row in self._database.read(sql, (run_id, after))]

    def events(self, run_id: str) -> list[Mapping[str, Any]]:
        sql = (
            "SELECT step, level, kind, message, payload_json, created_at FROM events WHERE run_id = ?"
            " ORDER BY created_at, step"
        )
        return [
            {
                **dict(zip(("step", "level", "kind", "message"), row, strict=True)),
                "payload": _object(payload) or {},
                "time": time,
            }
            for *row, payload, time in self._database.read(sql, (run_id,))
        ]

    def checkpoints(self, run_id: str) -> list[StoredCheckpoint]:
        sql = "SELECT step, filename, file_size FROM checkpoints WHERE run_id = ? ORDER BY step"
        rows: Any = self._database.read(sql, (run_id,))
        return [StoredCheckpoint(step=step, file=file or "", size=size) for step, file, size in rows]

    def close(self) -> None:
        self._database.close()

    def _runs(self, condition: str, values: Sequence[Value]) -> list[StoredRun]:
        columns = [
            *(f"r.{name}" for name in _RUN_COLUMNS),
            status_column("r"),
            *(f"m.{name}" for name in _LAST_METRICS),
        ]
        rows = self._database.read(
            f"SELECT {', '.join(columns)} FROM runs r"
            " LEFT JOIN metrics m ON m.run_id = r.run_id AND m.step = r.latest_step"
            f" {condition} ORDER BY r.created_at, r.id",
            values,
        )
        return [_stored_run(row) for row in rows]


def metrics_of(columns: Sequence[str], row: Sequence[Value]) -> dict[str, Any]:
    """Returns the metrics in a row of the table, under the names of `metrics.jsonl`; what is NULL is left out."""
    metrics: dict[str, Any] = {}
    for column, value in zip(columns, row, strict=True):
        if value is None:
            continue
        if column == "extra":
            metrics |= _object(value) or {}
        else:
            name = METRIC_OF_COLUMN[column]
            metrics[name] = json.loads(cast(str, value)) if name in JSON_METRICS else value
    return metrics


def _stored_run(row: Sequence[Any]) -> StoredRun:
    run_id, created, folder, host, domain, parameters, iters, best, best_step, mtime, status, *last = row
    return StoredRun(
        run_id=run_id,
        status=status,
        created=_time(created),
        folder=folder,
        host=host,
        domain=domain,
        parameters=parameters,
        iters=iters,
        metrics=metrics_of(_LAST_METRICS, last),
        best_val_loss=best,
        best_step=best_step,
        disk_mtime=mtime,
    )


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:  # written by something else
        return datetime.fromtimestamp(0, UTC)


def _object(value: Value) -> dict[str, Any] | None:
    """Returns the object in a JSON text, None for anything else."""
    try:
        content = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
