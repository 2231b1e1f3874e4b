"""Rows: the one form in which everything about a run travels, from a sink, a folder or a server to the database.

A row is the name of a table and some of its columns. Writing a row twice is writing it once, whatever lies between:

- `runs`: the columns that are given replace those that are stored; `created_at` stays.
- `metrics`: a row replaces the one of the same step, for a resumed run takes steps again.
- `checkpoints`, `domains`, `sync_state`: the columns that are given replace those that are stored.
- `samples`, `events`: a row that is there already is left alone.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import attrs

from alpha_core.errors import DataError
from alpha_db.connection import Statement, Value
from alpha_db.schema import KEYS, TABLES

__all__ = ["NOW", "Row", "statements_of", "stored_value", "time_text"]

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
"""The time by the clock of the database, the only one that heartbeats are held against."""

_LARGEST = 2**63


@attrs.frozen
class Row:
    """Columns of a table, the key among them. Values are what the database stores, see `stored_value`."""

    table: str
    values: Mapping[str, Value]

    def to_line(self) -> str:
        """Returns the row as a line of JSON, without the line's end."""
        return json.dumps([self.table, self.values], separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str | bytes) -> "Row":
        """Reads what `to_line` wrote. Raises `DataError` for anything else."""
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"a row is damaged: {error}") from error
        if not (isinstance(content, list) and len(content) == 2 and isinstance(content[1], dict)):
            raise DataError("a row is damaged: it is no table with columns")
        table, values = content
        if not isinstance(table, str) or table not in TABLES or not set(values) <= set(TABLES[table]):
            raise DataError("a row is of a table or has columns that this version does not know")
        if any(values.get(key) is None for key in KEYS[table]):
            raise DataError(f"a row of `{table}` lacks its key")
        return cls(table, {column: stored_value(value) for column, value in values.items()})


def stored_value(value: Any) -> Value:
    """Returns what the database stores for a value of Python or JSON: NULL for numbers that are not finite, JSON text
    for lists and objects, and text without halves of surrogate pairs."""
    if value is None:
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return json.dumps(value)


def time_text(moment: datetime) -> str:
    """Returns a time as the database writes it: UTC, ISO 8601, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def statements_of(rows: Iterable[Row], *, heartbeat: bool = True) -> list[Statement]:
    """Returns what writes rows, in their order. With `heartbeat`, it counts as a sign of life of their runs."""
    statements = []
    for table, group in groupby(rows, key=lambda row: row.table):
        if table == "metrics":
            statements += _metrics_statements(list(group), heartbeat=heartbeat)
        else:
            for columns, same in groupby(group, key=lambda row: tuple(row.values)):
                alike = list(same)
                values = [tuple(row.values.values()) for row in alike]
                statements.append(Statement(_upsert(table, columns, heartbeat=heartbeat), values))
                if "parent_run_ids" in columns and "generation" not in columns:
                    statements += map(_generation, alike)
    return statements


def _upsert(table: str, columns: Sequence[str], *, heartbeat: bool) -> str:
    names, marks = list(columns), ["?"] * len(columns)
    if table in ("samples", "events"):
        return _insert("INSERT OR IGNORE", table, names, marks)
    changed = [f"{name} = excluded.{name}" for name in names if name not in KEYS[table]]
    if table == "runs":
        changed = [text for text in changed if not text.startswith("created_at ")]
        if "created_at" not in names:
            names, marks = [*names, "created_at"], [*marks, NOW]
        if heartbeat and "updated_at" not in names:
            names, marks, changed = [*names, "updated_at"], [*marks, NOW], [*changed, f"updated_at = {NOW}"]
    key = ", ".join(KEYS[table])
    action = f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
    return f"{_insert('INSERT', table, names, marks)} ON CONFLICT ({key}) DO {action}"


def _metrics_statements(rows: Sequence[Row], *, heartbeat: bool) -> list[Statement]:
    columns = list(dict.fromkeys(column for row in rows for column in row.values))
    values = [tuple(map(row.values.get, columns)) for row in rows]
    insert = Statement(_insert("INSERT OR REPLACE", "metrics", columns, ["?"] * len(columns)), values)
    by_run: dict[Value, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row.values["run_id"], []).append(row)
    return [insert, *(_progress(run_id, group, heartbeat=heartbeat) for run_id, group in by_run.items())]


def _progress(run_id: Value, rows: Sequence[Row], *, heartbeat: bool) -> Statement:
    """Brings what `runs` says of a run up to its newest metrics."""
    last = rows[-1].values
    losses = [(row.values["val_loss"], row.values["step"]) for row in rows if _is_number(row.values.get("val_loss"))]
    best, best_step = min(losses, default=(None, None))
    alive = f", updated_at = {NOW}, status = CASE status WHEN 'stale' THEN 'active' ELSE status END"
    sql = (
        "UPDATE runs SET latest_step = ?1, last_loss = ?2,"
        " best_step = CASE WHEN best_val_loss IS NULL OR ?3 < best_val_loss THEN coalesce(?4, best_step)"
        " ELSE best_step END,"
        " best_val_loss = CASE WHEN best_val_loss IS NULL OR ?3 < best_val_loss THEN coalesce(?3, best_val_loss)"
        f" ELSE best_val_loss END{alive if heartbeat else ''} WHERE run_id = ?5"
    )
    return Statement(sql, [(last["step"], last.get("loss"), best, best_step, run_id)])


def _generation(row: Row) -> Statement:
    """A run is one generation after the youngest of its parents; one of whom nothing is known is of generation 0."""
    sql = (
        "UPDATE runs SET generation = 1 + coalesce((SELECT max(generation) FROM runs parent"
        " WHERE parent.run_id IN (SELECT value FROM json_each(?))), 0) WHERE run_id = ?"
    )
    return Statement(sql, [(row.values["parent_run_ids"], row.values["run_id"])])


def _insert(verb: str, table: str, names: Sequence[str], marks: Sequence[str]) -> str:
    return f"{verb} INTO {table} ({', '.join(names)}) VALUES ({', '.join(marks)})"


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float)
