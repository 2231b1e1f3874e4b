"""Reports and comparisons as a person reads them."""

from collections.abc import Iterable, Iterator, Sequence

from alpha_bench.compare import CaseComparison, Verdict
from alpha_bench.report import Report
from alpha_bench.result import IMPLEMENTATION, Result, Roofline
from alpha_train.units import bytes_text, count_text, duration_text, flops_text

__all__ = ["comparison_lines", "report_lines", "result_line", "seconds_text"]

Row = tuple[str, ...]


def report_lines(report: Report) -> Iterator[str]:
    """Yields the lines of a report: what measured, the ceilings, a table for each suite."""
    machine, backend = report.machine, report.backend
    yield f"machine   {machine.cpu}, {_plural(machine.cores, 'core')}, {machine.system}"
    if backend is not None:
        knobs = "".join(f", {name} {value}" for name, value in backend.knobs.items())
        yield f"backend   {backend.description}{knobs}"
    yield f"versions  {', '.join(f'{name} {version}' for name, version in report.versions.items() if version)}"
    if report.commit is not None:
        yield f"commit    {report.commit}"
    if report.ceilings is not None:
        how = report.ceilings.how
        for precision, rate in report.ceilings.flops_per_second.items():
            yield f"ceiling   {_per_second(rate)} in {precision} ({how[precision]})"
        yield f"ceiling   {bytes_text(report.ceilings.bytes_per_second)}/s ({how['bytes']})"
    if report.load is not None and report.load > 0.5 * machine.cores:
        yield f"warning   the load was {report.load} when this began: other work shares the machine"
    if report.quick:
        yield "warning   shrunk cases (`--quick`): these figures say nothing"
    for suite in dict.fromkeys(result.suite for result in report.results):
        yield ""
        yield from _aligned([_HEADING, *(_row(result) for result in report.results if result.suite == suite)])


def result_line(result: Result) -> str:
    """Returns the progress line of a case that is done."""
    if result.median is None:
        return f"{result.suite}/{result.id}: {result.status}: {result.reason}"
    return f"{result.suite}/{result.id}: {seconds_text(result.median)}"


def comparison_lines(comparisons: Sequence[CaseComparison]) -> Iterator[str]:
    """Yields a line for each case, and one with the counts."""
    rows: list[Row] = [("case", "first", "second", "ratio", "interval", "verdict")]
    for row in comparisons:
        found = row.comparison
        medians = tuple(
            seconds_text(result.median) if result is not None and result.median is not None else "-"
            for result in (row.first, row.second)
        )
        verdict = found.verdict.value if found.reason is None else f"{found.verdict.value}: {found.reason}"
        ratio = f"{found.ratio:.3f}" if found.ratio is not None else "-"
        interval = f"{found.low:.3f} to {found.high:.3f}" if found.low is not None else "-"
        rows.append((_name(row.key), *medians, ratio, interval, verdict))
    yield from _aligned(rows)
    counts = {verdict: sum(row.comparison.verdict is verdict for row in comparisons) for verdict in Verdict}
    yield ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)


def seconds_text(seconds: float) -> str:
    """Returns a time in the unit that suits it.

    >>> seconds_text(0.000012345), seconds_text(0.35), seconds_text(7.0)
    ('12.3 us', '350 ms', '7.00 s')
    """
    units = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 0.0))
    unit, size = next((unit, size or 1e-9) for unit, size in units if seconds >= size)
    number = seconds / size
    if unit == "s" and number >= 100:
        return duration_text(seconds)
    digits = 2 if number < 10 else 1 if number < 100 else 0
    return f"{number:.{digits}f} {unit}"


_HEADING: Row = ("case", "median", "quartiles", "n", "rate", "FLOP/s", "bytes/s", "roofline", "memory")


def _row(result: Result) -> Row:
    summary = result.summary
    if summary is None:
        return (_name(result.key), f"{result.status}: {result.reason}")
    roofline = result.roofline
    extra = result.extra.get("time_per_flop_against_plain")
    return (
        _name(result.key),
        seconds_text(summary.median),
        f"{seconds_text(summary.quartile_1)} to {seconds_text(summary.quartile_3)}",
        str(summary.count),
        ", ".join(_rate(name.removesuffix("_per_second"), rate) for name, rate in result.rates.items()),
        _per_second(result.flops / summary.median) if result.flops else "",
        f"{bytes_text(result.bytes / summary.median)}/s" if result.bytes else "",
        _roofline_text(roofline) if roofline is not None else "",
        bytes_text(result.memory_peak_bytes) if result.memory_peak_bytes else "",
        *([f"{extra:.2f} of the plain model's time per FLOP"] if extra is not None else []),
    )


def _name(key: tuple[str, str, str]) -> str:
    suite, id, implementation = key
    return f"{suite}/{id}" + (f" ({implementation})" if implementation != IMPLEMENTATION else "")


def _roofline_text(roofline: Roofline) -> str:
    if roofline.bound == "cache":
        return f"{roofline.share:.0%} of flops, in cache"
    return f"{roofline.share:.0%} of {roofline.bound}"


def _rate(unit: str, rate: float) -> str:
    return f"{rate / 1e6:.3g} MB/s of text" if unit == "text_bytes" else f"{count_text(rate)} {unit}/s"


def _per_second(rate: float) -> str:
    return f"{flops_text(rate)}/s"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _aligned(rows: Iterable[Row]) -> Iterator[str]:
    """Yields rows below their heading, the first one; columns with nothing in them are left out.

    The last cell of a row may be as long as it likes.
    """
    rows = list(rows)
    empty = {index for index in range(len(rows[0])) if not any(row[index : index + 1] > ("",) for row in rows[1:])}
    rows = [tuple(cell for index, cell in enumerate(row) if index not in empty) for row in rows]
    widths: dict[int, int] = {}
    for row in rows:
        for index, cell in enumerate(row[:-1]):
            widths[index] = max(widths.get(index, 0), len(cell))
    for row in rows:
        cells = [cell.ljust(widths[index]) for index, cell in enumerate(row[:-1])]
        yield "  ".join([*cells, row[-1]]).rstrip()
