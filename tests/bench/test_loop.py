"""`alpha bench loop`: classes, selection, files, and children that really go wrong."""

import csv
import json
import shlex
from pathlib import Path

import attrs
import pytest
from tests.bench.conftest import TINY, RunAlpha

from alpha_bench.loop.attempt import Measurement
from alpha_bench.loop.history import Entry, append_entry, baseline, read_history
from alpha_bench.loop.outcome import Status, best_of, classify
from alpha_core.errors import DataError

GOOD = Measurement(
    backend="cpu_ref",
    device="cpu_ref (numpy)",
    knobs={},
    step_seconds=[0.1] * 8,
    losses=[4.0, 3.9, 3.8, 3.7, 3.6, 3.5, 3.4, 3.3],
    skipped_steps=0,
    tokens_per_step=100,
    first_step_seconds=0.5,
    memory_peak_bytes=10**8,
    wrong_values=[],
)
ENTRY = Entry(
    time="2026-11-21T00:00:00Z",
    status="ok",
    tokens_per_second=100.0,
    ms_per_step=1.0,
    spread=0.01,
    first_loss=4.0,
    last_loss=3.0,
    memory_peak_bytes=10**8,
    attempts=1,
    machine="m",
    config="c",
    cpu="Z80, fast",
    backend="cpu_ref",
    knobs="threads=2,lanes=2",
    precision="f32",
    commit="",
    version="0.1.0",
    baseline=None,
    ratio=None,
    reasons="",
    log="run.log",
)
LOOP = ("bench", "loop", "--backend=cpu_ref", *TINY, "--steps=8", "--spread=1000")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "perf" / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        (GOOD, Status.ok, None),
        ("its process was ended by SIGKILL", Status.failed, "its process was ended by SIGKILL"),
        (attrs.evolve(GOOD, losses=[4.0, None, 3.0]), Status.failed, "the loss of 1 steps is not finite"),
        (attrs.evolve(GOOD, wrong_values=["matmul"]), Status.smoke_fail, "`matmul` computes wrong values"),
        (attrs.evolve(GOOD, losses=[4.0] * 8), Status.smoke_fail, "the loss does not fall: 4.0000 at first, 4.0000 in"),
        (attrs.evolve(GOOD, step_seconds=[0.1, 0.2] * 4), Status.unstable, "the middle half of the step times spreads"),
        (attrs.evolve(GOOD, skipped_steps=2), Status.unstable, "2 steps were skipped"),
    ],
)
def test_an_attempt_is_classified(found: Measurement | str, status: Status, reason: str | None) -> None:
    outcome = classify(found)
    assert outcome.status is status
    assert (not outcome.reasons) if reason is None else outcome.reasons[0].startswith(reason)


def test_the_best_class_wins_and_then_the_faster_one() -> None:
    ok, fast = classify(GOOD), classify(attrs.evolve(GOOD, step_seconds=[0.05] * 8))
    unstable = classify(attrs.evolve(GOOD, step_seconds=[0.001, 0.002] * 4))
    wrong = classify(attrs.evolve(GOOD, wrong_values=["sum"], step_seconds=[0.0001] * 8))
    failed = classify("died")
    assert best_of([failed, wrong, unstable, ok]) is ok
    assert best_of([ok, fast, ok]) is fast
    assert best_of([wrong, failed, unstable]) is unstable
    assert best_of([failed, wrong]) is wrong
    assert best_of([failed]) is failed


def test_the_baseline_is_the_median_of_the_last_five_ok_runs_of_the_same_kind() -> None:
    rates = [1000.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    others = [
        attrs.evolve(ENTRY, status="unstable", tokens_per_second=7.0),
        attrs.evolve(ENTRY, machine="other", tokens_per_second=7.0),
        attrs.evolve(ENTRY, config="other", tokens_per_second=7.0),
    ]
    history = [*(attrs.evolve(ENTRY, tokens_per_second=rate) for rate in rates), *others]
    assert baseline(history, machine="m", config="c") == 30.0
    assert baseline(history, machine="m", config="none") is None


def test_a_history_reads_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    failed = attrs.evolve(ENTRY, status="failed", tokens_per_second=None, spread=None, reasons='it said "no", twice')
    for entry in (ENTRY, failed):
        append_entry(path, entry)
    assert read_history(path) == [ENTRY, failed]
    assert read_history(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n", "has other columns"), (None, "line 2 of the history .* is damaged")],
)
def test_a_damaged_history_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "history.csv"
    append_entry(path, ENTRY)
    path.write_text(text if text is not None else path.read_text().replace("100.0", "fast"))
    with pytest.raises(DataError, match=message):
        read_history(path)


def test_a_run_writes_its_files_and_is_compared_with_the_ones_before(alpha: RunAlpha, tmp_path: Path) -> None:
    first = alpha(*LOOP)
    assert first.code == 0
    assert first.out.startswith("ok\n")
    assert "there is no earlier ok run" in first.out
    second = alpha(*LOOP, "--json")
    content = json.loads(second.out)
    rows = rows_of(tmp_path)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert float(rows[1]["baseline"]) == float(rows[0]["tokens_per_second"])
    assert content["ratio"] == pytest.approx(content["tokens_per_second"] / float(rows[0]["tokens_per_second"]))
    environment = dict(
        line.partition("=")[::2] for line in (tmp_path / "perf" / "last-benchmark.env").read_text().splitlines()
    )
    assert environment["BENCH_STATUS"] == "ok"
    assert shlex.split(environment["BENCH_CPU"]) == [rows[1]["cpu"]]
    assert environment["BENCH_LOG"] == rows[1]["log"]
    logs = sorted((tmp_path / "perf").glob("run-*.log"))
    assert len(logs) == 2
    assert "attempt 1 of 3\nok, " in logs[0].read_text()


def test_another_configuration_has_a_history_of_its_own(alpha: RunAlpha) -> None:
    alpha(*LOOP)
    assert "there is no earlier ok run" in alpha(*LOOP, "--batch-size=3").out


def test_a_process_that_dies_is_tried_again_and_failed_in_the_end(
    alpha: RunAlpha, faulty_backends: None, tmp_path: Path
) -> None:
    done = alpha(*LOOP, "--backend=dies", "--attempts=2")
    assert done.code == 1
    assert done.err.count("failed: its process was ended by SIGKILL") == 3  # two attempts, and the error
    (row,) = rows_of(tmp_path)
    assert (row["status"], row["attempts"], row["tokens_per_second"]) == ("failed", "2", "")


def test_a_process_that_hangs_is_ended(alpha: RunAlpha, faulty_backends: None) -> None:
    done = alpha(*LOOP, "--backend=hangs", "--attempts=1", "--timeout=2")
    assert done.code == 1
    assert "it took longer than 2 s" in done.err


def test_unsteady_times_are_unstable_which_is_no_error(alpha: RunAlpha, faulty_backends: None) -> None:
    done = alpha(*LOOP[:-1], "--backend=shaky", "--attempts=1")
    assert done.code == 0
    assert done.out.startswith("unstable: the middle half of the step times spreads over")


@pytest.mark.parametrize(("variable", "code"), [(None, 1), ("1", 1), ("0", 0)])
def test_wrong_values_fail_unless_the_environment_lets_them_pass(
    alpha: RunAlpha, faulty_backends: None, monkeypatch: pytest.MonkeyPatch, variable: str | None, code: int
) -> None:
    if variable is not None:
        monkeypatch.setenv("FAIL_ON_SMOKE_TEST", variable)
    done = alpha(*LOOP, "--backend=wrong", "--attempts=1")
    assert done.code == code
    assert done.out.startswith("smoke_fail: `matmul` computes wrong values")


def test_a_run_that_is_too_slow_ends_with_code_1(alpha: RunAlpha) -> None:
    assert alpha(*LOOP, "--fail-below=100").code == 0  # nothing to compare with
    done = alpha(*LOOP, "--fail-below=100")
    assert done.code == 1
    assert "is below `--fail-below=100`" in done.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=5x128"], "there is no model `5x128`"),
        (["--steps=0"], "`--steps` is a number above 0"),
        (["--model=2x64", "--domain=chat"], "`--model` is a whole configuration"),
    ],
)
def test_mistakes_of_the_command(alpha: RunAlpha, flags: list[str], message: str) -> None:
    done = alpha("bench", "loop", *flags)
    assert (done.code, message in done.err) == (2, True)


def test_the_environment_variable_is_checked(alpha: RunAlpha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL_ON_SMOKE_TEST", "maybe")
    done = alpha(*LOOP)
    assert (done.code, "`FAIL_ON_SMOKE_TEST` is `0` or `1`, not `maybe`" in done.err) == (2, True)
