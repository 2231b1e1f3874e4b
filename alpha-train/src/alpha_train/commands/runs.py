"""`alpha runs list | show | plot | compare | tail`."""

import json as json_format
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR
from alpha_core.errors import DataError, UnknownNameError, UsageError
from alpha_core.suggest import did_you_mean
from alpha_train.commands.notes import note

if TYPE_CHECKING:
    from alpha_train.runs.series import Series
    from alpha_train.runs.summary import RunSummary

__all__ = ["add_runs"]

Run = Annotated[str, "Its id, the beginning of it, its folder, or `last`."]
Runs = Annotated[list[str] | None, "Ids, beginnings of ids, folders, or `last`."]
RunsDir = Annotated[Path, "Folder that holds the run folders."]
Json = Annotated[bool, "Print JSON."]
DEFAULT = Path(DEFAULT_RUNS_DIR)


def add_runs(app: CommandApp) -> None:
    """Adds the group `runs`."""
    commands = RunsCommands(app)
    group = app.group("runs", help="Lists, shows, plots and compares training runs.")
    group.command(
        "list",
        help="Lists the runs in a folder, in the order in which they were started.",
        examples=("alpha runs list", "alpha runs list --json --runs-dir=experiments"),
    )(commands.list_runs)
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
        help="Shows runs side by side: the settings in which they differ, and their results.",
        examples=("alpha runs compare 20261121 last", "alpha runs compare runs/*"),
    )(commands.compare)
    group.command(
        "tail",
        help="Follows the metrics of a run until it ends.",
        examples=("alpha runs tail", "alpha runs tail last --lines=100 --once"),
    )(commands.tail)


class RunsCommands:
    """The commands, with the plugins of a command line: activations, which the number of parameters depends on."""

    def __init__(self, app: CommandApp) -> None:
        self._app = app

    def list_runs(self, *, runs_dir: RunsDir = DEFAULT, json: Json = False) -> None:
        from alpha_train.run_folder import list_runs
        from alpha_train.runs.report import list_lines
        from alpha_train.runs.summary import summarize

        summaries = [summarize(folder, self._app.plugins) for folder in list_runs(runs_dir)]
        if json:
            print(json_format.dumps([summary.to_json() for summary in summaries], indent=2))
        elif summaries:
            print("\n".join(list_lines(summaries)))
            for summary in summaries:
                if summary.problem:
                    note(f"run `{summary.run_id}` is unreadable: {summary.problem}")
        else:
            note(f"`{runs_dir}` holds no runs; start one with `alpha train`")

    def show(self, run: Run = "last", /, *, runs_dir: RunsDir = DEFAULT, json: Json = False) -> None:
        from alpha_core.config import to_dict
        from alpha_train.run_folder import find_run
        from alpha_train.runs.differences import changed_settings
        from alpha_train.runs.report import show_lines
        from alpha_train.runs.summary import summarize

        folder = find_run(runs_dir, run)
        summary = summarize(folder, self._app.plugins)
        if not json:
            print("\n".join(show_lines(summary, folder)))
            return
        config = summary.config
        content = {
            **summary.to_json(),
            "config": to_dict(config) if config is not None else None,
            "changed": [setting.key for setting, _ in changed_settings(config)] if config is not None else None,
            "metrics": dict(summary.metrics),
            "events": list(folder.read_events()),
            "checkpoints": folder.checkpoint_steps(),
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
        over: Annotated[str, "The horizontal axis: step, tokens or time."] = "step",
        smooth: Annotated[int, "Show the mean of so many values in a row."] = 1,
        png: Annotated[Path | None, "Write a picture instead (needs `alpha-train[plot]`)."] = None,
        width: Annotated[int, "Columns; 0 takes the terminal's."] = 0,
        height: Annotated[int, "Lines of each plot."] = 18,
        runs_dir: RunsDir = DEFAULT,
        json: Annotated[bool, "Print the points as JSON."] = False,
    ) -> None:
        from alpha_train.runs.plot import terminal_plot, write_png

        if png is not None and png.suffix.lower() != ".png":
            raise UsageError(f"`--png` names a `.png` file, not `{png}`")
        series = self._series(runs or ["last"], metric.split(","), over, smooth, runs_dir)
        if png is not None:
            write_png(png, series, over=over)
            note(f"the picture is in `{png}`")
        if json:
            print(json_format.dumps([_points(line, over) for line in series]))
        elif png is None:
            colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            columns = width or shutil.get_terminal_size((100, 24)).columns
            plots = terminal_plot(series, over=over, width=max(columns, 40), height=max(height, 8), colour=colour)
            print("\n\n".join(plots))

    def compare(self, runs: Runs = None, /, *, runs_dir: RunsDir = DEFAULT, json: Json = False) -> None:
        from alpha_train.run_folder import find_run
        from alpha_train.runs.differences import differing_settings
        from alpha_train.runs.report import compare_lines
        from alpha_train.runs.summary import summarize

        if runs is None or len(runs) < 2:
            raise UsageError("name two or more runs to compare", hint="`alpha runs list` lists them")
        summaries = [summarize(find_run(runs_dir, run), self._app.plugins) for run in runs]
        configs = [_readable(summary).config for summary in summaries]
        if json:
            differing = differing_settings([config for config in configs if config is not None])
            content = {
                "runs": [summary.to_json() for summary in summaries],
                "settings": {difference.key: list(difference.values) for difference in differing},
            }
            print(json_format.dumps(content, indent=2))
        else:
            print("\n".join(compare_lines(summaries)))

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
        from alpha_train.run_folder import find_run
        from alpha_train.run_lock import is_training
        from alpha_train.runs.summary import summarize
        from alpha_train.runs.tail import follow, metrics_line

        folder = find_run(runs_dir, run)
        iters = _readable(summarize(folder, self._app.plugins)).iters or 0
        log = folder.path / "metrics.jsonl"
        running = is_training(folder.path)
        if not log.exists() and not running:
            raise DataError(f"run `{folder.run_id}` has no `metrics.jsonl`", hint="it is written by the sink `jsonl`")
        try:
            for row in follow(log, lines=max(lines, 0), is_over=lambda: once or not is_training(folder.path)):
                print(json_format.dumps(row) if json else metrics_line(row, iters), flush=True)
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        if not once:
            note(f"run `{folder.run_id}` is {summarize(folder, self._app.plugins).status}")

    def _series(
        self, runs: Sequence[str], metrics: Sequence[str], over: str, smooth: int, runs_dir: Path
    ) -> "list[Series]":
        from alpha_train.run_folder import find_run
        from alpha_train.runs.series import AXES, metric_series, smoothed
        from alpha_train.runs.summary import summarize

        if over not in AXES:
            axes = ", ".join(f"`{axis}`" for axis in AXES)
            raise UnknownNameError(f"`--over` is one of {axes}, not `{over}`", hint=did_you_mean(over, AXES))
        series: list[Series] = []
        for name in dict.fromkeys(runs):
            folder = find_run(runs_dir, name)
            config = _readable(summarize(folder, self._app.plugins)).config
            assert config is not None
            series += metric_series(folder, config, [metric.strip() for metric in metrics], over=over)
        if not series:
            raise DataError(f"nothing was logged of {', '.join(f'`{metric}`' for metric in metrics)}")
        # An evaluation is a mean already.
        return [line if line.metric == "valLoss" else smoothed(line, smooth) for line in series]


def _readable(summary: "RunSummary") -> "RunSummary":
    if summary.problem is not None:
        raise DataError(f"run `{summary.run_id}` cannot be read: {summary.problem}")
    return summary


def _points(line: "Series", over: str) -> dict[str, object]:
    return {"run": line.run, "metric": line.metric, "over": over, "points": list(zip(line.x, line.y, strict=True))}
