"""A pytest plugin that sums up a check of a plugin: a line for each part, and one for each failed test."""

from collections import Counter, defaultdict

import pytest

__all__ = ["pytest_collectreport", "pytest_runtest_logreport", "pytest_sessionfinish"]

LISTED_FAILURES = 20

_counts: dict[str, Counter[str]] = defaultdict(Counter)
_failures: dict[str, list[str]] = defaultdict(list)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _fail("collection", report.nodeid or "plugin", report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    part, test = report.nodeid.split("::", 2)[1:]
    if report.failed:
        _fail(part, test, report)
    elif report.skipped:
        _counts[part]["expected failures" if hasattr(report, "wasxfail") else "skipped"] += 1
    elif report.when == "call":
        _counts[part]["passed"] += 1


def pytest_sessionfinish() -> None:
    for part, counts in _counts.items():
        parts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"  {part}: {parts}")
        failures = _failures[part]
        for line in failures[:LISTED_FAILURES]:
            print(f"    {line}")
        if len(failures) > LISTED_FAILURES:
            print(f"    ... and {len(failures) - LISTED_FAILURES} more")


def _fail(part: str, test: str, report: pytest.CollectReport | pytest.TestReport) -> None:
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else report.longreprtext
    lines = [line for line in message.splitlines() if line.strip()] or ["(no message)"]
    _counts[part]["failed"] += 1
    _failures[part].append(f"{test}: {lines[0]}")
