"""A trace as two tables: phases of training, and kernels."""

from collections.abc import Iterator, Sequence

from alpha_train.trace import Total, Tracer, totals

__all__ = ["trace_lines"]

_MOST_KERNELS = 40


def trace_lines(tracer: Tracer) -> Iterator[str]:
    """Yields the lines of the tables, or one that says why there is nothing."""
    if not tracer.steps:
        yield f"nothing was traced: the run ended before step {tracer.first} of those that it took this time"
        return
    last = tracer.first + tracer.steps - 1
    per_step = 1e3 * tracer.seconds / tracer.steps
    yield f"traced: steps {tracer.first} to {last} of those that the run took this time, {per_step:.3g} ms a step"
    phases = totals(tracer.phases)
    rest = tracer.seconds - sum(phase.seconds for phase in phases)
    yield from _table("phase", "of time", [*phases, Total("(between)", tracer.steps, rest, 0, 0)], tracer.seconds)
    kernels = totals(tracer.kernels)
    if kernels:
        yield ""
        yield from _table("kernel", "of all", _shortened(kernels), sum(kernel.seconds for kernel in kernels))


def _table(title: str, share: str, rows: Sequence[Total], whole: float) -> Iterator[str]:
    width = max(len(title), *(len(row.name) for row in rows))
    yield f"{title:<{width}} {'calls':>8} {'total ms':>10} {share:>8} {'GFLOP/s':>8} {'GB/s':>8}"
    for row in rows:
        part = f"{100 * row.seconds / whole:.1f}%" if whole > 0 else ""
        line = f"{row.name:<{width}} {row.calls:>8} {1e3 * row.seconds:>10.3f} {part:>8}"
        yield f"{line} {_rate(row.flops, row.seconds)} {_rate(row.bytes, row.seconds)}".rstrip()


def _rate(count: int, seconds: float) -> str:
    if not count or seconds <= 0:
        return " " * 8
    rate = count / seconds / 1e9
    return f"{rate:>8.1f}" if rate >= 1 else f"{rate:>8.2g}"


def _shortened(kernels: Sequence[Total]) -> list[Total]:
    """Returns the longest ones, and the others as one row."""
    shown, others = list(kernels[:_MOST_KERNELS]), kernels[_MOST_KERNELS:]
    if others:
        name = f"({len(others)} others)"
        sums = (sum(getattr(other, key) for other in others) for key in ("calls", "seconds", "flops", "bytes"))
        shown.append(Total(name, *sums))
    return shown
