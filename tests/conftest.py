"""Rules for every test."""

import gc
import os
from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import settings

# A busy machine is no reason to fail. In CI hypothesis has a profile of its own, which this one inherits.
settings.register_profile("alpha", deadline=None)
settings.load_profile("alpha")

# Tests of what a terminal gets mean one that can move its cursor, whatever this one is.
os.environ["TERM"] = "xterm-256color"

ALLOWED_SKIPS = ["runs as root", "needs a processor with", "needs mount namespaces"]
"""How the reason of a skip may begin in CI; whatever else a test misses there, CI should install."""
# CI runs the tests of helios twice, once on a device that has these.
if os.environ.get("ALPHA_HELIOS_COOPERATIVE") != "required":
    ALLOWED_SKIPS.append("needs a Vulkan device with cooperative matrices")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests go first, which take long each: what is left to the end is short, and can be shared out."""
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: counts[item.path])


def pytest_collection_finish() -> None:
    """Tens of thousands of tests stay to the end: no collection of garbage needs to look at them again."""
    gc.collect()
    gc.freeze()


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(tuple(ALLOWED_SKIPS)):
        report.outcome = "failed"
        report.longrepr = f"{reason} (CI allows no skip but for: {', '.join(ALLOWED_SKIPS)})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report
