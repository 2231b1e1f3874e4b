"""Runs side by side: what differs in their settings, what they came to, and their curves at the same places."""

from collections.abc import Iterator, Sequence
from typing import Any

from alpha_core.config import RunConfig, text_of
from alpha_train.runs.alignment import Alignment, alignment_rows
from alpha_train.runs.csv_text import csv_text
from alpha_train.runs.differences import differing_settings
from alpha_train.runs.report import results_of, table
from alpha_train.runs.summary import RunSummary

__all__ = ["comparison_csv", "comparison_json", "comparison_lines"]


def comparison_lines(
    runs: Sequence[RunSummary], configs: Sequence[RunConfig], alignments: Sequence[Alignment]
) -> Iterator[str]:
    """Yields the settings that differ and the results, and then the curves."""
    rows = [("settings", *(run.run_id for run in runs))]
    for difference in differing_settings(configs):
        rows.append((difference.key, *(text_of(value) if value is not None else "-" for value in difference.values)))
    if len(rows) == 1:
        rows.append(("all equal", *("" for _ in runs)))
    results = [dict(results_of(run)) for run in runs]
    rows.append(("", *("" for _ in runs)))
    rows.append(("status", *(run.status for run in runs)))
    rows.append(("parameters", *(f"{'-' if run.parameters is None else run.parameters}" for run in runs)))
    for name in dict.fromkeys(name for result in results for name in result):
        rows.append((name, *(result.get(name, "-") for result in results)))
    yield from table(rows)
    for alignment in alignments:
        yield ""
        yield alignment.metric
        yield from table(alignment_rows(alignment))


def comparison_json(
    runs: Sequence[RunSummary], configs: Sequence[RunConfig], alignments: Sequence[Alignment]
) -> dict[str, Any]:
    """Returns the same as JSON values."""
    return {
        "runs": [run.to_json() for run in runs],
        "settings": {difference.key: list(difference.values) for difference in differing_settings(configs)},
        "curves": [alignment.to_json() for alignment in alignments],
    }


def comparison_csv(alignments: Sequence[Alignment]) -> str:
    """Returns a row for each metric, place and run: what the run has there, and how far that is above the first run."""
    rows = []
    for alignment in alignments:
        differences = dict(alignment.differences())
        for run, values in zip(alignment.runs, alignment.y, strict=True):
            for index, (x, value) in enumerate(zip(alignment.x, values, strict=True)):
                above = differences[run][index] if run in differences else 0.0
                rows.append({"metric": alignment.metric, alignment.over: x, "run": run, "value": value, "above": above})
    over = alignments[0].over if alignments else "step"
    return csv_text(rows, ("metric", over, "run", "value", "above"))
