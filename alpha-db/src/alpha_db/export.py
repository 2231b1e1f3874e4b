"""Writes the content of a database to files that anything can read."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from alpha_core.errors import UsageError
from alpha_db.connection import Value
from alpha_db.database import Database
from alpha_db.schema import KEYS, TABLES

__all__ = ["FORMATS", "export"]

FORMATS = ("jsonl", "csv")
_PAGE = 5000  # rows in one query


def export(database: Database, out: Path, *, form: str = "jsonl", run_ids: Sequence[str] = ()) -> dict[str, int]:
    """Writes a file for each table into the folder `out`, of all runs or of some; returns the numbers of rows.

    Raises `UsageError` if a file is there already or cannot be written.
    """
    counts = {}
    for table in TABLES:
        if table == "sync_state" or (run_ids and "run_id" not in TABLES[table]):
            continue
        path = out / f"{table}.{form}"
        try:
            out.mkdir(parents=True, exist_ok=True)
            with open(path, "x", encoding="utf-8", newline="\n") as file:
                columns = list(TABLES[table])
                writer = csv.writer(file, lineterminator="\n")
                if form == "csv":
                    writer.writerow(columns)
                counts[table] = 0
                for row in _rows(database, table, columns, run_ids):
                    if form == "csv":
                        writer.writerow(row)
                    else:
                        file.write(json.dumps(dict(zip(columns, row, strict=True))) + "\n")
                    counts[table] += 1
        except FileExistsError as error:
            raise UsageError(f"`{path}` is there already", hint="name a new folder") from error
        except OSError as error:
            raise UsageError(f"`{path}` cannot be written: {error.strerror}") from error
    return counts


def _rows(
    database: Database, table: str, columns: Sequence[str], run_ids: Sequence[str]
) -> Iterator[tuple[Value, ...]]:
    """Yields the rows of a table in the order of its key, a page at a time, each page beginning after the last key."""
    key = KEYS[table]
    places = [columns.index(column) for column in key]
    chosen = f"run_id IN ({', '.join('?' for _ in run_ids)})" if run_ids else "TRUE"
    names, marks = ", ".join(key), ", ".join("?" for _ in key)
    after: tuple[Value, ...] = ()
    while True:
        condition = f"{chosen} AND ({names}) > ({marks})" if after else chosen
        sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {condition} ORDER BY {names} LIMIT {_PAGE}"
        page = database.read(sql, (*run_ids, *after))
        yield from page
        if len(page) < _PAGE:
            return
        after = tuple(page[-1][place] for place in places)
