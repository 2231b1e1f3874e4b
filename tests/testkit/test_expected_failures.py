"""Kit tests cannot be overridden, and expected failures are strict."""

from typing import Any

import pytest

from alpha_core.schedule import Schedule
from alpha_testkit import ScheduleConformance, TokenizerConformance

pytest_plugins = ["pytester"]


def _half(step: int, config: Any) -> float:
    return float(config.lr) / 2


class Halved(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        return _half


def test_overriding_a_kit_test_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`Mine` overrides `test_pure` of `ScheduleConformance`.*expected_failures"):

        class Mine(Halved):
            def test_pure(self) -> None: ...  # type: ignore[override]


def test_removing_a_kit_test_is_refused() -> None:
    with pytest.raises(TypeError, match="overrides `test_rates`"):
        type("Mine", (Halved,), {"test_rates": None})


def test_overriding_by_a_mixin_is_refused() -> None:
    class Mixin:
        def test_ids(self) -> None: ...

    with pytest.raises(TypeError, match="`Mixin` overrides `test_ids` of `TokenizerConformance`"):
        type("Mine", (Mixin, TokenizerConformance), {})


def test_own_tests_are_welcome() -> None:
    class Mine(Halved):
        def test_more(self) -> None: ...

    assert set(Mine.kit_tests()) == set(Halved.kit_tests())


def test_an_unknown_expected_failure_is_refused_with_a_suggestion() -> None:
    with pytest.raises(TypeError, match=r"names `test_pure\[defualt\]`, .*did you mean `test_pure\[default\]`\?"):

        class Mine(Halved):
            expected_failures = {"test_pure[defualt]": "a reason"}  # noqa: RUF012 - as authors write it


KIT = """
from alpha_testkit import ScheduleConformance

def zero_at_first(step, config):
    return config.lr if step > 1 else 0.0

class TestZeroAtFirst(ScheduleConformance):
    expected_failures = {expected!r}

    def make_schedule(self):
        return zero_at_first
"""
FAILING = "test_some_rate_is_positive[one-step]"


def _run(pytester: pytest.Pytester, expected: dict[str, str]) -> pytest.RunResult:
    pytester.makepyfile(KIT.format(expected=expected))
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q", "-rxfE")


def test_an_unexpected_failure_fails(pytester: pytest.Pytester) -> None:
    result = _run(pytester, {})
    result.assert_outcomes(passed=26, failed=1)
    assert f"::TestZeroAtFirst::{FAILING}" in result.stdout.str()


def test_an_expected_failure_is_reported_with_its_reason(pytester: pytest.Pytester) -> None:
    result = _run(pytester, {FAILING: "one step is too short for it"})
    result.assert_outcomes(passed=26, xfailed=1)
    assert f"::{FAILING} - one step is too short for it" in result.stdout.str()


def test_an_expected_failure_that_passes_fails(pytester: pytest.Pytester) -> None:
    result = _run(pytester, {FAILING: "one step", "test_pure[default]": "it is pure after all"})
    result.assert_outcomes(passed=25, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*it is pure after all*"])


def test_names_are_those_that_pytest_shows(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(KIT.format(expected={}))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q", "--collect-only")
    shown = {line.split("::")[-1] for line in result.outlines if "::" in line}
    assert shown == set(Halved.kit_tests())
