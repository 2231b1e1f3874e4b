"""Verdicts on times whose truth is known."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from tests.bench.conftest import RunAlpha

from alpha_bench import Effort, Report, Result, Session, compare_reports, run_suites
from alpha_bench.compare import Verdict, compare_samples


def times(median: float, *, noise: float = 0.01, count: int = 15, seed: int = 0) -> list[float]:
    """Times around a median, skewed as real ones are: noise only makes slower."""
    generator = np.random.default_rng(seed)
    return (median * (1 + noise * generator.exponential(size=count))).tolist()


def report(samples: Sequence[float], **details: Any) -> Report:
    return Report.here(command="a test", results=[Result.of(suite="gemm", id="a", samples=samples, **details)])


def verdict(first: Report, second: Report) -> tuple[Verdict, str | None]:
    (row,) = compare_reports(first, second)
    return row.comparison.verdict, row.comparison.reason


@pytest.mark.parametrize(
    ("ratio", "noise", "expected"),
    [
        (1.2, 0.02, Verdict.slower),
        (1 / 1.2, 0.02, Verdict.faster),
        (1.0, 0.02, Verdict.same),
        (1.02, 0.002, Verdict.same),  # steady, and below the floor
        (1.2, 0.8, Verdict.same),  # large, and within the noise
    ],
)
def test_a_difference_must_be_steady_and_above_the_floor(ratio: float, noise: float, expected: Verdict) -> None:
    found = compare_samples(times(1.0, noise=noise), times(ratio, noise=noise, seed=1))
    assert found.verdict is expected
    assert found.low is not None
    assert found.ratio is not None
    assert found.high is not None
    assert found.low <= found.ratio <= found.high


def test_samples_of_one_distribution_are_rarely_called_different() -> None:
    wrong = sum(
        compare_samples(times(1.0, noise=0.05, seed=2 * i), times(1.0, noise=0.05, seed=2 * i + 1)).verdict
        is not Verdict.same
        for i in range(200)
    )
    assert wrong <= 2


def test_a_fifth_slower_is_nearly_always_seen() -> None:
    seen = sum(
        compare_samples(times(1.0, noise=0.05, seed=2 * i), times(1.2, noise=0.05, seed=2 * i + 1)).verdict
        is Verdict.slower
        for i in range(100)
    )
    assert seen >= 99


def test_one_slow_sample_changes_no_verdict() -> None:
    assert compare_samples(times(1.0), [*times(1.0, seed=1)[:-1], 30.0]).verdict is Verdict.same


def test_a_verdict_is_the_same_every_time() -> None:
    assert compare_samples(times(1.0), times(1.1, seed=1)) == compare_samples(times(1.0), times(1.1, seed=1))


def test_a_larger_floor_asks_for_a_larger_difference() -> None:
    assert compare_samples(times(1.0), times(1.1, seed=1)).verdict is Verdict.slower
    assert compare_samples(times(1.0), times(1.1, seed=1), floor=0.2).verdict is Verdict.same


def test_few_samples_are_not_comparable() -> None:
    found = compare_samples([1.0] * 4, [2.0] * 9)
    assert (found.verdict, found.reason, found.ratio) == (Verdict.unknown, "4 samples; 5 are needed", None)


def test_other_parameters_are_not_comparable() -> None:
    first = report(times(1.0), parameters={"m": 64, "n": 64})
    second = report(times(2.0), parameters={"m": 64, "n": 96})
    assert verdict(first, second) == (Verdict.unknown, "`n` is `64` and `96`")


def test_other_machines_are_not_comparable() -> None:
    first = report(times(1.0))
    machine = attrs.evolve(first.machine, cpu="Z80", cores=1000)
    found, reason = verdict(first, attrs.evolve(first, machine=machine))
    assert found is Verdict.unknown
    assert reason == f"processors `{first.machine.cpu}` and `Z80`; numbers of cores `{first.machine.cores}` and `1000`"


def test_shrunk_and_failed_cases_are_not_comparable() -> None:
    first = report(times(1.0))
    assert verdict(first, attrs.evolve(first, quick=True)) == (Verdict.unknown, "shrunk cases (`--quick`)")
    failed = attrs.evolve(first, results=[Result(suite="gemm", id="a", status="failed", reason="boom")])
    assert verdict(first, failed) == (Verdict.unknown, "failed in the second report")


def test_a_case_of_one_report_alone_is_told() -> None:
    first = report(times(1.0))
    rows = compare_reports(first, attrs.evolve(first, results=[Result.of(suite="gemm", id="b", samples=[1.0])]))
    assert [(row.key[1], row.comparison.reason) for row in rows] == [
        ("a", "not in the second report"),
        ("b", "not in the first report"),
    ]


def test_implementations_are_compared_with_themselves() -> None:
    mine = Result.of(suite="gemm", id="a", samples=times(1.0))
    other = attrs.evolve(mine, implementation="pytorch", samples=times(3.0))
    first = Report.here(command="a test", results=[mine, other])
    assert [row.comparison.verdict for row in compare_reports(first, first)] == [Verdict.same, Verdict.same]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    report(times(1.0)).write(tmp_path / "a.json")
    report(times(1.5, seed=1)).write(tmp_path / "b.json")
    return "a.json", "b.json"


def test_the_command_shows_ratio_interval_and_verdict(alpha: RunAlpha, files: tuple[str, str]) -> None:
    done = alpha("bench", "compare", *files)
    assert done.code == 0
    heading, row, counts = done.out.splitlines()
    assert heading.split() == ["case", "first", "second", "ratio", "interval", "verdict"]
    assert row.startswith("gemm/a")
    assert row.endswith("slower")
    assert counts == "1 slower"


def test_fail_on_slower_ends_with_code_1(alpha: RunAlpha, files: tuple[str, str]) -> None:
    done = alpha("bench", "compare", *files, "--fail-on-slower")
    assert (done.code, "error: 1 of 1 cases are slower" in done.err) == (1, True)
    assert alpha("bench", "compare", *files[::-1], "--fail-on-slower").code == 0
    assert alpha("bench", "compare", *files, "--fail-on-slower", "--floor=0.9").code == 0


def test_fail_on_slower_does_not_pass_what_it_cannot_compare(alpha: RunAlpha, tmp_path: Path) -> None:
    report([1.0]).write(tmp_path / "a.json")
    done = alpha("bench", "compare", "a.json", "a.json", "--fail-on-slower")
    assert done.code == 1
    assert "no case is comparable" in done.err


def test_the_command_prints_json(alpha: RunAlpha, files: tuple[str, str]) -> None:
    content = json.loads(alpha("bench", "compare", *files, "--json").out)
    (case,) = content["cases"]
    assert case["verdict"] == "slower"
    assert case["low"] < case["ratio"] < case["high"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.json", "none.json"], 4, "`none.json` cannot be read"),
        (["a.json", "b.json", "--floor=2"], 2, "`--floor` is a share"),
    ],
)
def test_mistakes_of_the_command(
    alpha: RunAlpha, files: tuple[str, str], arguments: list[str], code: int, message: str
) -> None:
    done = alpha("bench", "compare", *arguments)
    assert (done.code, message in done.err) == (code, True)


def gauged(samples: Sequence[float], **medians: float) -> Report:
    """A report whose gauges took these times."""
    return report(samples, gauge={name: times(median, seed=7) for name, median in medians.items()})


def test_what_the_machine_itself_changed_by_is_no_difference() -> None:
    first = gauged(times(1.0), compute=0.002, memory=0.005)
    assert verdict(first, gauged(times(1.15, seed=1), compute=0.002, memory=0.0058)) == (Verdict.same, None)
    assert verdict(first, gauged(times(1.15, seed=1), compute=0.002, memory=0.005)) == (Verdict.slower, None)
    assert verdict(first, gauged(times(1.4, seed=1), compute=0.0023, memory=0.005)) == (Verdict.slower, None)
    assert verdict(first, gauged(times(0.85, seed=1), compute=0.0017, memory=0.005)) == (Verdict.same, None)


def test_a_machine_that_changed_too_much_is_not_comparable() -> None:
    first = gauged(times(1.0), compute=0.002, memory=0.005)
    found, reason = verdict(first, gauged(times(1.0), compute=0.003, memory=0.005))
    assert found is Verdict.unknown
    assert reason == "the machine itself took 1.50 times as long in the second report (gauge `compute`)"


def test_every_case_is_measured_between_two_looks_at_the_gauge(plugins) -> None:
    effort = Effort(warmup=0, least=1, most=1)
    with Session(plugins, backend_name="cpu_ref", effort=effort) as session:
        (result,) = run_suites(["ops"], session, pattern="add")
    assert {name: len(samples) for name, samples in result.gauge.items()} == {"compute": 10, "memory": 10}
    assert all(sample > 0 for samples in result.gauge.values() for sample in samples)
