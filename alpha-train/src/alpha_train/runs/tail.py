"""The metrics of a run as they come."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from alpha_core.run_store import RunStore
from alpha_train.units import count_text

__all__ = ["follow", "follow_store", "metrics_line"]

_PAUSE = 0.25  # seconds between looks at the file
_STORE_PAUSE = 1.0  # seconds between questions to a database


def follow(path: Path, *, lines: int, is_over: Callable[[], bool]) -> Iterator[Mapping[str, Any]]:
    """Yields the last `lines` metrics of a log, and then each new one until `is_over` and nothing is left.

    The file need not exist yet. A line that is half written waits for its end; one that cannot be read is left out.
    """
    position, pending = 0, b""
    first = True
    while True:
        over = is_over()  # before reading, so that what was written before the end is read
        data = _read_from(path, position)
        position += len(data)
        *complete, pending = (pending + data).split(b"\n")
        rows = [row for line in complete if (row := _metrics_in(line)) is not None]
        yield from rows[max(0, len(rows) - lines) :] if first else rows
        first = False
        if over:
            return
        time.sleep(_PAUSE)


def follow_store(
    store: RunStore, run_id: str, *, lines: int, is_over: Callable[[], bool]
) -> Iterator[Mapping[str, Any]]:
    """Yields the last `lines` metrics of a run of a database, then each new one until `is_over` and none is left."""
    rows = store.metrics(run_id)
    last = rows[-1]["step"] if rows else 0
    yield from rows[max(0, len(rows) - lines) :]
    while True:
        over = is_over()
        for row in store.metrics(run_id, after=last):
            yield row
            last = row["step"]
        if over:
            return
        time.sleep(_STORE_PAUSE)


def metrics_line(metrics: Mapping[str, Any], iters: int) -> str:
    """Returns metrics as a line of text: `step   7/1000  loss 3.2100  lr 3.00e-04  14.2k tok/s`."""
    words = [f"step {metrics['step']:>{len(str(iters))}}/{iters}"]
    for key, text in (
        ("loss", "loss {:.4f}"),
        ("valLoss", "valLoss {:.4f}"),
        ("lr", "lr {:.2e}"),
        ("gradNorm", "grad {:.3g}"),
    ):
        if isinstance(metrics.get(key), int | float):
            words.append(text.format(metrics[key]))
    if isinstance(metrics.get("tokens_per_sec"), int | float):
        words.append(f"{count_text(metrics['tokens_per_sec'])} tok/s")
    return "  ".join(words)


def _read_from(path: Path, position: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""


def _metrics_in(line: bytes) -> Mapping[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None
