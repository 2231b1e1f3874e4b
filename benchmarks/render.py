"""Writes the tables of `docs/benchmarks.md` from the results; what stands around them is written by hand.

Each table stands between `<!-- generated: SUITE -->` and `<!-- end: SUITE -->`: that of `SUITE.json`, then those of
`SUITE-*.json`, from other machines.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from alpha_bench.report import Report, read_report
from alpha_bench.result import IMPLEMENTATION, Result
from alpha_core.errors import DataError
from benchmarks.entrant import READING
from benchmarks.worker import ROOT

__all__ = ["PAGE", "RESULTS", "rendered", "table_of"]

PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = Path(__file__).resolve().parent / "results"
SUITES = ("train", "avx2", "decode", "nanogpt", "memory", "attention", "tokenizer", "gpu")
_CASE = {"tokenizer": "text, task", "nanogpt": "precision", "attention": "sequences x heads x tokens x width"}


def rendered(page: Path = PAGE, results: Path = RESULTS) -> str:
    """Returns the page as it should be. Raises `DataError` for one without the marks, and for damaged results."""
    text = page.read_text(encoding="utf-8")
    for suite in SUITES:
        start, end = f"<!-- generated: {suite} -->\n", f"<!-- end: {suite} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise DataError(f"`{page.name}` needs the marks `{start.strip()}` and `{end}`, once each")
        tables = []
        for file in [results / f"{suite}.json", *sorted(results.glob(f"{suite}-*.json"))]:
            if not file.exists():
                continue
            report = read_report(file)
            if report.quick:
                raise DataError(f"`{file}` is of a quick trial, which is not to be published")
            tables.append(f"{table_of(suite, report)} Its file is `{file.name}`.")
        where = " on a GPU" if suite == "gpu" else ""
        part = "\n\n".join(tables) or f"Not measured yet{where}: `python -m benchmarks {suite}`."
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{part}\n\n{end}{rest.partition(end)[2]}"
    return text


def table_of(suite: str, report: Report) -> str:
    """Returns a suite's results as Markdown: the table, what failed, who took part, and where."""
    results = [result for result in report.results if result.suite == suite]
    names = list(dict.fromkeys(result.implementation for result in results))
    rows = [[_CASE.get(suite, "case"), *names, "fastest peer / alpha"]]
    if suite == "memory":
        rows[0][-1] = "alpha / smallest peer"
    rows.append(["---"] * len(rows[0]))
    for case in dict.fromkeys(result.id for result in results):
        found = {result.implementation: result for result in results if result.id == case}
        rows.append([case, *(_cell(suite, found.get(name), found) for name in names), _ratio(suite, found)])
    parts = ["\n".join(f"| {' | '.join(row)} |" for row in rows)]
    failures = [f"- {r.id}, {r.implementation}: {r.reason}" for r in results if not r.samples]
    if failures:
        parts.append("Without a result:\n\n" + "\n".join(failures))
    notes = dict.fromkeys(f"- {r.id}: {r.extra['note']}" for r in results if "note" in r.extra)
    if notes:
        parts.append("Not as asked:\n\n" + "\n".join(notes))
    parts.append("\n".join(["Settings:", "", *_settings(results)]))
    if suite == "tokenizer":
        parts.append(_agreement(results))
    profiles = [f"- {r.id}: {r.extra['kernels']}" for r in results if "kernels" in r.extra]
    if profiles:
        parts.append("Where Alpha's time goes, of the kernels of a step one after another:\n\n" + "\n".join(profiles))
    parts.append(_origin(report))
    return "\n\n".join(parts)


def ratios(suite: str, of: Result, to: Result) -> list[float]:
    """Returns how much of time (or memory) one result takes of another's, round by round."""
    if suite == "memory":
        return [(of.memory_peak_bytes or 0) / (to.memory_peak_bytes or 1)]
    return [mine / theirs for mine, theirs in zip(of.samples, to.samples, strict=True)]


def _cell(suite: str, result: Result | None, found: Mapping[str, Result]) -> str:
    if result is None:
        return ""
    if result.summary is None:
        return "none"
    threads = result.extra.get("threads")
    alpha = found.get(IMPLEMENTATION)
    parts = [_figure(suite, result)]
    bound = found.get(READING)
    if result is alpha and bound is not None and bound.summary is not None:
        parts.append(f"{statistics.median(ratios(suite, bound, result)):.0%} of {READING}")
    elif result is not bound and result is not alpha and alpha is not None and alpha.summary is not None:
        parts.append(f"{statistics.median(ratios(suite, result, alpha)):.2f}x")
    mode = result.extra.get("mode")
    if mode is not None and not result.implementation.endswith(str(mode)):
        parts.append(str(mode))
    if result is not alpha and isinstance(threads, int):
        parts.append("1 thread" if threads == 1 else f"{threads} threads")
    return "<br>".join([parts[0], ", ".join(parts[1:])]) if parts[1:] else parts[0]


def _figure(suite: str, result: Result) -> str:
    """Returns what was measured, in the suite's unit, with half of the distance between the extreme rounds."""
    median, rates = result.median or 0.0, result.rates
    spread = f" ±{(max(result.samples) - min(result.samples)) / 2 / median:.1%}"
    if suite == "memory":
        low, high = result.extra["lowest_peak"], result.extra["highest_peak"]
        return f"{(result.memory_peak_bytes or 0) / 1e6:.0f} MB ({low / 1e6:.0f} to {high / 1e6:.0f})"
    if suite == "decode":
        speed = f"{rates['tokens_per_second']:,.0f} tokens/s{spread}"
        return f"{speed}, {rates['weight_bytes_per_second'] / 1e9:.1f} GB/s"
    if suite == "tokenizer":
        return f"{rates['text_bytes_per_second'] / 1e6:.2f} MB/s{spread}, {median:.2f} s"
    if suite == "nanogpt":
        return f"{median:.1f} s{spread}, loss {result.extra['validation_loss']:.3f}"
    if "flops_per_second" in rates:
        return f"{rates['flops_per_second'] / 1e12:,.3g} TFLOP/s{spread}"
    if suite == "gpu":
        host = f", host {1e3 * seconds:.2g} ms" if (seconds := result.extra.get("host_seconds")) else ""
        return f"{rates['tokens_per_second']:,.0f} tokens/s{spread}, {1e3 * median:.3g} ms{host}"
    return f"{1e3 * median:,.{2 if median < 0.01 else 1 if median < 1 else 0}f} ms{spread}"


def _ratio(suite: str, found: Mapping[str, Result]) -> str:
    """Returns Alpha's ratio to the best peer: the median of the rounds', the lowest and the highest."""
    alpha = found.get(IMPLEMENTATION)
    peers = [r for name, r in found.items() if name not in (IMPLEMENTATION, READING) and r.summary is not None]
    if alpha is None or alpha.summary is None or not peers:
        return "none"
    if suite == "memory":
        best = min(peers, key=lambda result: result.memory_peak_bytes or 0)
        return f"**{ratios(suite, alpha, best)[0]:.0%}**"
    rounds = ratios(suite, min(peers, key=lambda result: result.median or 0.0), alpha)
    return f"**{statistics.median(rounds):.2f}** ({min(rounds):.2f} to {max(rounds):.2f})"


def _settings(results: Sequence[Result]) -> list[str]:
    """Returns what each implementation was set to, a line each; threads and modes stand in the table."""
    lines = {}
    for result in results:
        shown = [f"{key} {value}" for key, value in result.extra.items() if key in _VERSIONS]
        if result.implementation == IMPLEMENTATION:
            shown += [f"{key} {value}" for key, value in result.extra.items() if key in _BACKEND]
        variables = [part for part in str(result.extra.get("settings", "")).split(", ") if part.startswith("`")]
        shown += [part for part in variables if "RAYON" not in part and "TOKENIZERS_" not in part]
        if result.samples:
            lines[result.implementation] = f"- {result.implementation}: {', '.join(shown)}"
    return list(lines.values())


_BACKEND = ("backend", "threads", "lanes", "chunk")
_VERSIONS = (
    "device",
    "cuda",
    "torch",
    "tinygrad",
    "ziglang",
    "tokenizers",
    "tiktoken",
    "numpy",
    "llvmlite",
    "alpha-tensor",
)


def _agreement(results: Sequence[Result]) -> str:
    digests = {
        case: {str(result.extra["digest"]) for result in results if result.id == case and "digest" in result.extra}
        for case in dict.fromkeys(result.id for result in results if result.id.endswith("encoding"))
    }
    different = [case for case, found in digests.items() if len(found) > 1]
    return f"The ids differ for {', '.join(different)}." if different else "All gave the same ids."


def _origin(report: Report) -> str:
    machine = report.machine
    facts = [
        f"{machine.cpu}, {machine.cores} cores ({', '.join(machine.features)})",
        machine.system,
        f"Python {report.versions['python']}",
        f"commit {report.commit or 'unknown'}",
        report.created[:10],
    ]
    variables = [f"`{name}={value}`" for name, value in report.environment.items()]
    facts += [f"with {' '.join(variables)}"] if variables else []
    return f"{'; '.join(facts)}. By `{report.command}`."
