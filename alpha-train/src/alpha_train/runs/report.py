"""Runs as text: the list, one run at length, several side by side."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from alpha_train.runs.catalog import KnownRun
from alpha_train.runs.differences import changed_settings
from alpha_train.runs.summary import RunSummary
from alpha_train.units import bytes_text, count_text, duration_text

__all__ = ["list_lines", "results_of", "show_lines", "table"]

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


def show_lines(run: RunSummary, known: KnownRun) -> Iterator[str]:
    """Yields everything about one run."""
    yield f"run {run.run_id}: {run.status}" + (f" ({run.problem})" if run.problem else "")
    rows = [
        ("folder", run.folder or "unknown"),
        ("started", f"{run.created:%Y-%m-%d %H:%M:%S} UTC"),
        ("domain", run.domain or "none"),
        ("parameters", f"{run.parameters:,}" if run.parameters is not None else "unknown"),
        *results_of(run),
    ]
    yield from _indented(rows)
    if run.problem is None:
        yield "settings that are not the defaults"
        yield from _indented(
            [
                (setting.key, f"{setting.text(value)}  (default {setting.text(setting.default) or 'none'})")
                for setting, value in changed_settings(known.config())
            ]
        )
    events = known.events()
    yield "events" if len(events) <= _EVENTS_SHOWN else f"the last {_EVENTS_SHOWN} of {len(events)} events"
    yield from _indented([(f"step {event.get('step')}", _event(event)) for event in events[-_EVENTS_SHOWN:]])
    yield "checkpoints"
    yield from _indented(
        [
            (f"step {step}", (bytes_text(size) if size is not None else "size unknown") + _best_mark(run, step))
            for step, size in known.checkpoints().items()
        ]
    )


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
