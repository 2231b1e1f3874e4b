"""The command: what it writes, and what is left when it does not come to its end."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.suites import Options

from alpha_bench.report import read_report
from alpha_bench.result import Result
from benchmarks import __main__ as command

Run = Callable[..., int]


def measured(case: str) -> list[Result]:
    return [Result.of(suite="train", id=case, samples=(0.002, 0.003), work={"tokens": 8})]


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """The command removes what steers libraries from its process, which here is that of all tests."""
    before = dict(os.environ)
    yield
    os.environ.update(before)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command with a suite of the test's own in the place of `train`."""

    def run(suite: Callable[[Options], Iterator[list[Result]]], *arguments: str) -> int:
        monkeypatch.setattr(command, "SUITES", {"train": suite})
        return command.main(["train", "--out", str(tmp_path / "out"), *arguments])

    return run


def test_cases_that_were_measured_are_kept_when_the_rest_is_interrupted(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(options: Options) -> Iterator[list[Result]]:
        yield measured("first")
        raise KeyboardInterrupt

    assert run(interrupted) == 130
    assert capsys.readouterr().err.startswith("interrupted; what was measured stands in `*.partial.json`")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train.partial.json"]
    assert [result.id for result in read_report(tmp_path / "out" / "train.partial.json").results] == ["first"]


def test_a_whole_run_leaves_its_results_alone(run: Run, tmp_path: Path) -> None:
    assert run(lambda options: iter([measured("first"), measured("second")])) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train.json"]
    assert [result.id for result in read_report(tmp_path / "out" / "train.json").results] == ["first", "second"]


def test_some_cases_of_a_suite_take_the_place_of_theirs_in_its_results(run: Run, tmp_path: Path) -> None:
    run(lambda options: iter([measured("first"), measured("second")]))
    assert run(lambda options: iter([measured("first")]), "--cases=first") == 0
    assert [result.id for result in read_report(tmp_path / "out" / "train.json").results] == ["second", "first"]


def test_a_name_that_no_case_has_is_told(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda options: iter([]), "--cases=f23") == 1
    assert "the suite `train` has no case whose name begins with f23" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nanogpt_measures_the_precisions_that_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []

    def hold(contest: object, case: object, *entrants: object) -> list[Result]:
        held.append(case.id)  # type: ignore[attr-defined]
        return measured(held[-1])

    monkeypatch.setattr("benchmarks.contest.Contest.hold", hold)
    text = tmp_path / "text.txt"
    text.write_text("To be")
    arguments = ["nanogpt", f"--text={text}", "--cases=bf16", "--out", str(tmp_path / "out")]
    assert command.main(arguments) == 0
    assert held == ["bf16"]
