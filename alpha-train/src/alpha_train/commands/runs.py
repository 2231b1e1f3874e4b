"""`alpha runs list | best | show | plot | compare | tail`."""

import json as json_format
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR
from alpha_core.errors import DatabaseError, DataError, UnknownNameError, UsageError
from alpha_core.suggest import did_you_mean
from alpha_train.commands.notes import note

if TYPE_CHECKING:
    from alpha_core.run_store import RunStore
    from alpha_train.runs.catalog import Catalog, KnownRun
    from alpha_train.runs.series import Series
    from alpha_train.runs.summary import RunSummary

__all__ = ["add_runs"]

Run = Annotated[str, "Its id, the beginning of it, its folder, or `last`."]
Runs = Annotated[list[str] | None, "Ids, beginnings of ids, folders, or `last`."]
RunsDir = Annotated[Path, "Folder that holds the run folders."]
Json = Annotated[bool, "Print JSON."]
Csv = Annotated[bool, "Print CSV."]
Status = Annotated[str, "Only runs that are running, completed, stopped, failed, stale, ..."]
Domain = Annotated[str | None, "Only runs of this domain."]
Match = Annotated[str, "Only runs with this text in their id, such as a tag."]
Days = Annotated[float, "Only runs that were started so many days ago at most; 0 is any time."]
Over = Annotated[str, "The horizontal axis: step, tokens or time."]
Png = Annotated[Path | None, "Write a picture instead (needs `alpha-train[plot]`)."]
DEFAULT = Path(DEFAULT_RUNS_DIR)


def add_runs(app: CommandApp) -> None:
    """Adds the group `runs`."""
    commands = RunsCommands(app)
    group = app.group("runs", help="Lists, shows, plots and compares training runs.")
    group.command(
        "list",
        help="Lists the runs of the database and of a folder, in the order in which they were started.",
        examples=("alpha runs list", "alpha runs list --status=completed --days=7", "alpha runs list --csv"),
    )(commands.list_runs)
    group.command(
        "best",
        help="Lists the runs with the lowest loss, the best first.",
        examples=("alpha runs best", "alpha runs best --domain=chat --top=1 --json"),
    )(commands.best)
    group.command(
        "show",
        help="Shows one run: its settings, results, events and checkpoints.",
        examples=("alpha runs show", "alpha runs show 20261121 --json"),
    )(commands.show)
    group.command(
        "plot",
        help="Plots metrics of one or several runs, in the terminal or as a picture.",
        examples=(
            "alpha runs plot",
            "alpha runs plot 20261121 20261122 --metric=valLoss --over=tokens",
            "alpha runs plot last --metric=loss,lr,tok/s --smooth=20 --png=run.png",
        ),
    )(commands.plot)
    group.command(
        "compare",
        help="Shows runs side by side: the settings in which they differ, their results, and their curves at the same"
        " places.",
        examples=(
            "alpha runs compare 20261121 last",
            "alpha runs compare 20261121 last --over=tokens",
        ),
    )(commands.compare)
    group.command(
        "tail",
        help="Follows the metrics of a run until it ends.",
        examples=("alpha runs tail", "alpha runs tail last --lines=100 --once"),
    )(commands.tail)


class RunsCommands:
    """The commands, with the plugins of a command line: the database of runs, if one of them brings it, and
    activations, which the number of parameters depends on."""

    def __init__(self, app: CommandApp) -> None:
        self._app = app

    def list_runs(
        self,
        *,
        status: Status = "",
        domain: Domain = None,
        match: Match = "",
        days: Days = 0.0,
        limit: Annotated[int, "Only so many, the newest; 0 is all."] = 0,
        runs_dir: RunsDir = DEFAULT,
        json: Json = False,
        csv: Csv = False,
    ) -> None:
        from alpha_train.runs.filters import RunFilter
        from alpha_train.runs.report import list_lines

        chosen = RunFilter(status=status, domain=domain, match=match, days=days, limit=limit)
        with self._catalog(runs_dir) as catalog:
            known = [run.summary() for run in catalog.runs()]
        summaries = chosen.of(known)
        if json or csv:
            _print_summaries(summaries, csv=csv)
        elif summaries:
            print("\n".join(list_lines(summaries)))
            for summary in summaries:
                if summary.problem:
                    note(f"run `{summary.run_id}` is unreadable: {summary.problem}")
        elif known:
            note(f"none of {len(known)} runs is like that")
        else:
            note(f"`{runs_dir}` holds no runs; start one with `alpha train`")

    def best(
        self,
        *,
        metric: Annotated[str, "By which: valLoss, the best of each run, or loss, its last."] = "valLoss",
        top: Annotated[int, "How many."] = 5,
        status: Status = "",
        domain: Domain = None,
        match: Match = "",
        days: Days = 0.0,
        runs_dir: RunsDir = DEFAULT,
        json: Json = False,
        csv: Csv = False,
    ) -> None:
        from alpha_train.runs.filters import RunFilter
        from alpha_train.runs.report import list_lines

        if metric not in ("valLoss", "loss"):
            raise UnknownNameError(f"`--metric` is `valLoss` or `loss`, not `{metric}`")
        if top < 1:
            raise UsageError(f"`--top` is a number from 1 on, not {top}")
        chosen = RunFilter(status=status, domain=domain, match=match, days=days)
        with self._catalog(runs_dir) as catalog:
            summaries = chosen.of(run.summary() for run in catalog.runs())
        ranked = []
        for run in summaries:
            value = run.best_val_loss if metric == "valLoss" else run.number("loss")
            if value is not None:
                ranked.append((value, run))
        best = [run for _, run in sorted(ranked, key=lambda item: item[0])[:top]]
        if json or csv:
            _print_summaries(best, csv=csv)
        elif best:
            print("\n".join(list_lines(best)))
        else:
            note(f"no run has a `{metric}`")

    def show(self, run: Run = "last", /, *, runs_dir: RunsDir = DEFAULT, json: Json = False) -> None:
        from alpha_core.config import to_dict
        from alpha_train.runs.differences import changed_settings
        from alpha_train.runs.report import show_lines

        with self._catalog(runs_dir) as catalog:
            known = catalog.find(run)
            summary = known.summary()
            if not json:
                print("\n".join(show_lines(summary, known)))
                return
            config = known.config() if summary.problem is None else None
            content = {
                **summary.to_json(),
                "config": to_dict(config) if config is not None else None,
                "changed": [setting.key for setting, _ in changed_settings(config)] if config is not None else None,
                "metrics": dict(summary.metrics),
                "events": list(known.events()),
                "checkpoints": list(known.checkpoints()),
            }
        print(json_format.dumps(content, indent=2))

    def plot(
        self,
        runs: Runs = None,
        /,
        *,
        metric: Annotated[
            str, "Metrics, separated by commas: loss, valLoss, lr, gradNorm, tok/s, ..."
        ] = "loss,valLoss",
        over: Over = "step",
        smooth: Annotated[int, "Show the mean of so many values in a row."] = 1,
        png: Png = None,
        width: Annotated[int, "Columns; 0 takes the terminal's."] = 0,
        height: Annotated[int, "Lines of each plot."] = 18,
        runs_dir: RunsDir = DEFAULT,
        json: Annotated[bool, "Print the points as JSON."] = False,
    ) -> None:
        _check_picture(png)
        with self._catalog(runs_dir) as catalog:
            known = [catalog.find(name) for name in dict.fromkeys(runs or ["last"])]
            series = _series(known, metric.split(","), over, smooth)
        if json:
            print(json_format.dumps([_points(line, over) for line in series]))
        if png is not None or not json:
            _draw(series, over, png, width, height)

    def compare(
        self,
        runs: Runs = None,
        /,
        *,
        metric: Annotated[str, "Metrics whose curves are compared, separated by commas."] = "loss,valLoss",
        over: Over = "step",
        points: Annotated[int, "At how many places the curves are compared."] = 8,
        plot: Annotated[bool, "Draw the curves."] = True,
        png: Png = None,
        runs_dir: RunsDir = DEFAULT,
        json: Json = False,
        csv: Annotated[bool, "Print the compared curves as CSV."] = False,
    ) -> None:
        from alpha_train.runs.alignment import align
        from alpha_train.runs.comparison import comparison_csv, comparison_json, comparison_lines

        if runs is None or len(runs) < 2:
            raise UsageError("name two or more runs to compare", hint="`alpha runs list` lists them")
        if points < 1:
            raise UsageError(f"`--points` is a number from 1 on, not {points}")
        _check_picture(png)
        with self._catalog(runs_dir) as catalog:
            known = [catalog.find(run) for run in runs]
            summaries = [_readable(run.summary()) for run in known]
            configs = [run.config() for run in known]
            logged = {run.run_id: run for run in known if run.metrics()}
            series = _series(list(logged.values()), metric.split(","), over, 1) if len(logged) > 1 else []
        shared = [
            [line for line in series if line.metric == name] for name in dict.fromkeys(line.metric for line in series)
        ]
        found = [align(lines, over=over, points=points) for lines in shared if len(lines) > 1]
        alignments = [alignment for alignment in found if alignment is not None]
        if json:
            print(json_format.dumps(comparison_json(summaries, configs, alignments), indent=2))
        elif csv:
            print(comparison_csv(alignments), end="")
        else:
            print("\n".join(comparison_lines(summaries, configs, alignments)))
        if png is not None or (plot and series and not json and not csv):
            print() if png is None else None
            _draw(series, over, png, 0, 14)

    def tail(
        self,
        run: Run = "last",
        /,
        *,
        lines: Annotated[int, "Begin with so many lines that are there already."] = 10,
        once: Annotated[bool, "Do not wait for more."] = False,
        runs_dir: RunsDir = DEFAULT,
        json: Annotated[bool, "Print each line as JSON."] = False,
    ) -> None:
        from alpha_train.runs.tail import metrics_line

        with self._catalog(runs_dir) as catalog:
            known = catalog.find(run)
            iters = _readable(known.summary()).iters or 0
            try:
                for row in _followed(known, runs_dir, max(lines, 0), once=once):
                    print(json_format.dumps(row) if json else metrics_line(row, iters), flush=True)
            except KeyboardInterrupt:
                raise SystemExit(130) from None
            if not once:
                note(f"run `{known.run_id}` is {catalog.find(known.run_id).summary().status}")

    @contextmanager
    def _catalog(self, runs: Path) -> "Iterator[Catalog]":
        """Opens the runs of a folder, with the database that knows them; one that cannot be reached is told of."""
        from alpha_train.runs.catalog import Catalog

        try:
            store = self._app.plugins.choose_run_store(runs)
        except DatabaseError as error:
            note(f"{error.message}; these are the run folders alone")
            store = None
        try:
            yield Catalog(runs, store, self._app.plugins)
        finally:
            if store is not None:
                store.close()


def _print_summaries(summaries: "Sequence[RunSummary]", *, csv: bool) -> None:
    from alpha_train.runs.csv_text import csv_text
    from alpha_train.runs.summary import JSON_KEYS

    rows = [summary.to_json() for summary in summaries]
    print(csv_text(rows, JSON_KEYS) if csv else json_format.dumps(rows, indent=2) + "\n", end="")


def _followed(known: "KnownRun", runs: Path, lines: int, *, once: bool) -> "Iterator[Mapping[str, Any]]":
    """Yields metrics as they come: of the folder if it is here, else of the database."""
    from alpha_train.runs.catalog import DatabaseRun, FolderRun
    from alpha_train.runs.tail import follow, follow_store

    path = known.folder.path if isinstance(known, FolderRun) else runs / known.run_id
    log = path / "metrics.jsonl"
    if isinstance(known, DatabaseRun) and not log.exists():
        store, run_id = known.store, known.run_id
        return follow_store(store, run_id, lines=lines, is_over=lambda: once or not _is_active(store, run_id))
    from alpha_train.run_lock import is_training

    if not log.exists() and not is_training(path):
        raise DataError(f"run `{known.run_id}` has no `metrics.jsonl`", hint="it is written by the sink `jsonl`")
    return follow(log, lines=lines, is_over=lambda: once or not is_training(path))


def _is_active(store: "RunStore", run_id: str) -> bool:
    run = store.run(run_id)
    return run is not None and run.status == "active"


def _series(known: "Sequence[KnownRun]", metrics: Sequence[str], over: str, smooth: int) -> "list[Series]":
    from alpha_train.runs.series import AXES, metric_series, smoothed

    if over not in AXES:
        axes = ", ".join(f"`{axis}`" for axis in AXES)
        raise UnknownNameError(f"`--over` is one of {axes}, not `{over}`", hint=did_you_mean(over, AXES))
    names = [metric.strip() for metric in metrics]
    series: list[Series] = []
    for run in known:
        series += metric_series(run.run_id, run.metrics(), run.config(), names, over=over)
    if not series:
        raise DataError(f"nothing was logged of {', '.join(f'`{metric}`' for metric in metrics)}")
    # An evaluation is a mean already.
    return [line if line.metric == "valLoss" else smoothed(line, smooth) for line in series]


def _check_picture(png: Path | None) -> None:
    if png is not None and png.suffix.lower() != ".png":
        raise UsageError(f"`--png` names a `.png` file, not `{png}`")


def _draw(series: "Sequence[Series]", over: str, png: Path | None, width: int, height: int) -> None:
    """Draws curves in the terminal, or into a picture if one is named."""
    from alpha_train.runs.plot import terminal_plot, write_png

    if png is not None:
        write_png(png, series, over=over)
        note(f"the picture is in `{png}`")
        return
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    columns = width or shutil.get_terminal_size((100, 24)).columns
    plots = terminal_plot(series, over=over, width=max(columns, 40), height=max(height, 8), colour=colour)
    print("\n\n".join(plots))


def _readable(summary: "RunSummary") -> "RunSummary":
    if summary.problem is not None:
        raise DataError(f"run `{summary.run_id}` cannot be read: {summary.problem}")
    return summary


def _points(line: "Series", over: str) -> dict[str, object]:
    return {"run": line.run, "metric": line.metric, "over": over, "points": list(zip(line.x, line.y, strict=True))}
