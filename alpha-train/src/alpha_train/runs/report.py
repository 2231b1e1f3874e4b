"""Runs as text: the list, one run at length, several side by side."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from alpha_core.config import text_of
from alpha_train.run_folder import RunFolder
from alpha_train.runs.differences import changed_settings, differing_settings
from alpha_train.runs.summary import RunSummary
from alpha_train.units import bytes_text, count_text, duration_text

__all__ = ["compare_lines", "list_lines", "results_of", "show_lines", "table"]

_EVENTS_SHOWN = 12


def list_lines(runs: Sequence[RunSummary], *, now: datetime | None = None) -> Iterator[str]:
    """Yields the table of runs."""
    now = now or datetime.now(UTC)
    rows = [("run", "status", "domain", "params", "step", "loss", "best valLoss", "age")]
    for run in runs:
        rows.append(
            (
                run.run_id,
                run.status,
                run.domain or "-",
                count_text(run.parameters) if run.parameters is not None else "-",
                f"{_or_dash(run.step)}/{_or_dash(run.iters)}",
                _loss(run.number("loss")),
                _loss(run.best_val_loss),
                duration_text(max(0.0, (now - run.created).total_seconds())),
            )
        )
    yield from table(rows)


def show_lines(run: RunSummary, folder: RunFolder) -> Iterator[str]:
    """Yields everything about one run."""
    yield f"run {run.run_id}: {run.status}" + (f" ({run.problem})" if run.problem else "")
    rows = [
        ("folder", run.folder),
        ("started", f"{run.created:%Y-%m-%d %H:%M:%S} UTC"),
        ("domain", run.domain or "none"),
        ("parameters", f"{run.parameters:,}" if run.parameters is not None else "unknown"),
        *results_of(run),
    ]
    yield from _indented(rows)
    if run.config is not None:
        yield "settings that are not the defaults"
        yield from _indented(
            [
                (setting.key, f"{setting.text(value)}  (default {setting.text(setting.default) or 'none'})")
                for setting, value in changed_settings(run.config)
            ]
        )
    events = folder.read_events()
    yield "events" if len(events) <= _EVENTS_SHOWN else f"the last {_EVENTS_SHOWN} of {len(events)} events"
    yield from _indented([(f"step {event.get('step')}", _event(event)) for event in events[-_EVENTS_SHOWN:]])
    yield "checkpoints"
    yield from _indented(
        [
            (f"step {step}", bytes_text(folder.checkpoint_path(step).stat().st_size) + _best_mark(run, step))
            for step in folder.checkpoint_steps()
        ]
    )


def compare_lines(runs: Sequence[RunSummary]) -> Iterator[str]:
    """Yields what differs between the settings of runs, and their results, side by side. They must be readable."""
    configs = [run.config for run in runs if run.config is not None]
    rows = [("settings", *(run.run_id for run in runs))]
    for difference in differing_settings(configs):
        rows.append((difference.key, *(text_of(value) if value is not None else "-" for value in difference.values)))
    if len(rows) == 1:
        rows.append(("all equal", *("" for _ in runs)))
    results = [dict(results_of(run)) for run in runs]
    rows.append(("", *("" for _ in runs)))
    rows.append(("status", *(run.status for run in runs)))
    rows.append(("parameters", *(f"{_or_dash(run.parameters)}" for run in runs)))
    for name in dict.fromkeys(name for result in results for name in result):
        rows.append((name, *(result.get(name, "-") for result in results)))
    yield from table(rows)


def results_of(run: RunSummary) -> list[tuple[str, str]]:
    """Returns what a run has come to, as names and texts."""
    rows = [("step", f"{_or_dash(run.step)} of {_or_dash(run.iters)}"), ("loss", _loss(run.number("loss")))]
    if run.best_val_loss is not None:
        rows.append(("best valLoss", f"{_loss(run.best_val_loss)} at step {run.best_step}"))
    speed = run.number("tokens_per_sec")
    if speed is not None:
        rows.append(("speed", f"{count_text(speed)} tokens/s in the last step"))
    return rows


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields rows with their columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _indented(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for line in table(rows) if rows else ["none"]:
        yield f"  {line}"


def _event(event: Any) -> str:
    level = event.get("level")
    prefix = f"{level}: " if level in ("warning", "error") else ""
    return f"{prefix}{event.get('message') or event.get('kind')}"


def _best_mark(run: RunSummary, step: int) -> str:
    return "  (best)" if step == run.best_step else ""


def _loss(value: float | None) -> str:
    return f"{value:.4f}" if value is not None else "-"


def _or_dash(value: object) -> object:
    return "-" if value is None else value
