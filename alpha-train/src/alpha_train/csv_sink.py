"""The `csv` metric sink: metrics as a table in the run folder."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpha_core.errors import UsageError
from alpha_core.observer import MetricSink, RunInfo
from alpha_train.log_file import open_log

__all__ = ["COLUMNS", "CsvSink"]

COLUMNS = (
    *("step", "loss", "valLoss", "lr", "gradNorm", "clip_coef", "clip_pct"),
    *("elapsed_ms", "ms_per_iter", "tokens_per_sec", "skipped_steps"),
)
"""The columns of a new `metrics.csv`."""


class CsvSink(MetricSink):
    """Appends a row for each step to `metrics.csv`: RFC 4180 with line feeds.

    The columns are fixed, so that every row means the same: a new file has `COLUMNS`, one that is there keeps its own.
    A metric without a column is left out; a column without a metric stays empty, as `valLoss` between evaluations.
    Numbers that are not finite are `nan`, `inf` and `-inf`. A step that a resumed run takes again, because a crash cost
    its checkpoint, has several rows, of which the last counts. Raises `UsageError` for a run without a folder.
    """

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        if run.folder is None:
            raise UsageError("the sink `csv` needs a run folder, and this run has none")
        path = run.folder / "metrics.csv"
        columns = _columns_of(path)
        self._file = open_log(path)
        self._rows = csv.DictWriter(
            self._file, columns or COLUMNS, extrasaction="ignore", lineterminator="\n", quoting=csv.QUOTE_MINIMAL
        )
        if not columns:
            self._rows.writeheader()

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self._rows.writerow(metrics)

    def close(self) -> None:
        self._file.close()


def _columns_of(path: Path) -> list[str]:
    """Returns the columns of a table, none if it has no complete header; what a crash left of one is removed."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            line = file.readline()
    except FileNotFoundError:
        return []
    if not line.endswith("\n"):
        path.unlink()
        return []
    return next(csv.reader([line]), [])
