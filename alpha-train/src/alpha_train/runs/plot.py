"""Curves in the terminal, and as a picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from alpha_core.errors import NotInstalledError, UsageError
from alpha_train.runs.series import AXES, Series, panels_of

__all__ = ["terminal_plot", "write_png"]

_COLOURS = ("blue+", "orange+", "green+", "magenta+", "cyan+", "red+")
_MARKS = ("•", "+", "x", "o", "*", "#")
"""Tell curves apart where there is no colour."""


def terminal_plot(series: Sequence[Series], *, over: str, width: int, height: int, colour: bool) -> Iterator[str]:
    """Yields one plot for each unit, as text of `width` columns and `height` lines with a legend below."""
    import plotext

    plotext.limit_size(False, False)
    for title, lines in panels_of(series):
        plotext.clear_figure()
        plotext.plotsize(width, height)
        plotext.theme("clear")
        plotext.title(title)
        plotext.xlabel(AXES[over])
        legend = []
        for index, line in enumerate(lines):
            shade, mark = _COLOURS[index % len(_COLOURS)], _MARKS[index % len(_MARKS)]
            plotext.plot(line.x, line.y, color=shade, marker="braille" if colour else mark)
            legend.append(f"  {plotext.colorize('━━', shade) if colour else mark * 2} {_label(line, series)}")
        text = plotext.build()
        plot = text if colour else plotext.uncolorize(text)
        yield "\n".join([*(row.rstrip() for row in plot.splitlines()), *legend])


def write_png(path: Path, series: Sequence[Series], *, over: str) -> None:
    """Writes the plots, one above the other, to a picture.

    Raises `NotInstalledError` without matplotlib, and `UsageError` if the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotInstalledError("pictures need matplotlib", hint="`pip install alpha-train[plot]`") from error
    panels = panels_of(series)
    runs = list(dict.fromkeys(line.run for line in series))
    figure = Figure(figsize=(9, 1 + 3.5 * len(panels)), dpi=120, layout="constrained")
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for line in lines:
            first = line.metric == lines[0].metric
            colour = f"C{runs.index(line.run) if len(runs) > 1 else lines.index(line)}"  # of the colour cycle
            style = {"color": colour, "linewidth": 1.0 if first else 1.8, "marker": "." if len(line.x) < 40 else ""}
            axis.plot(line.x, line.y, label=_label(line, series), linestyle="-" if first else "--", **style)
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[-1].set_xlabel(AXES[over])
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}") from error


def _label(line: Series, series: Sequence[Series]) -> str:
    """Returns what tells a curve from the others: the metric, or with several runs the run too."""
    several = len({other.run for other in series}) > 1
    return f"{line.run} {line.metric}" if several else line.metric
