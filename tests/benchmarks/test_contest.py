"""Contests between processes: turns, deaths, doubts and the choice of settings."""

import re
from collections.abc import Callable

import attrs
import pytest
from benchmarks.case import Case
from benchmarks.contest import Contest, compete
from benchmarks.suites import of_processes
from tests.benchmarks.conftest import fake

from alpha_bench.result import FAILED, Result

Journal = Callable[[], list[str]]


def test_entrants_compute_in_turns_and_never_two_at_a_time(case: Case, contest: Contest, journal: Journal) -> None:
    compete(case, [fake("a"), fake("b")], contest)
    assert journal() == ["a begins", "a ends", "b begins", "b ends"] * 2


def test_a_result_has_a_sample_for_each_round(case: Case, contest: Contest) -> None:
    (result,) = compete(case, [fake("a", sleeps=0.02)], contest)
    assert len(result.samples) == contest.rounds
    assert min(result.samples) >= 0.02
    assert result.work == {"tokens": 8}
    assert result.extra["fake"] == "1.0"
    assert result.memory_peak_bytes is None or result.memory_peak_bytes > 1_000_000
    assert "journal" not in result.parameters


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"dies": True}, r"its process ended \(1\): out of memory"), ({"fails": True}, "ValueError: singular")],
)
def test_an_entrant_that_fails_is_out_and_the_others_go_on(
    case: Case, contest: Contest, journal: Journal, settings: dict[str, bool], reason: str
) -> None:
    broken, sound = compete(case, [fake("a", **settings), fake("b")], contest)
    assert broken.status == FAILED
    assert broken.reason is not None
    assert re.search(reason, broken.reason)
    assert len(sound.samples) == contest.rounds
    assert journal().count("a begins") == 1
    assert journal().count("b ends") == 2


def test_work_that_was_not_done_is_no_result(case: Case, contest: Contest) -> None:
    (result,) = compete(case, [fake("a", loss=7.5)], contest)
    assert result.status == FAILED
    assert result.reason == "first_loss is 7.5, where 1 was expected"


def test_the_fastest_of_a_group_meets_alpha_and_the_trials_are_kept(case: Case, contest: Contest) -> None:
    group = [fake("peer", sleeps=0.05), fake("peer", sleeps=0.001)]
    alpha, peer, *trials = attrs.evolve(contest, trial_rounds=1).hold(case, fake("alpha"), [group])
    assert (alpha.implementation, peer.implementation) == ("alpha", "peer")
    assert peer.extra["sleeps"] == 0.001
    assert [trial.suite for trial in trials] == ["train trials"] * 2
    assert len({trial.implementation for trial in trials}) == 2
    assert [len(result.samples) for result in (alpha, peer, *trials)] == [contest.rounds, contest.rounds, 1, 1]


def test_workers_do_not_inherit_what_steers_libraries(
    case: Case, contest: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    (result,) = compete(case, [fake("a")], contest)
    assert result.extra["inherited"] == "nothing"


def test_memory_is_the_median_of_processes_with_the_extremes_beside_it() -> None:
    found = [Result(suite="memory", id="6x256-f32", samples=(1.0,), memory_peak_bytes=peak) for peak in (300, 100, 200)]
    result = of_processes(found)
    assert (result.memory_peak_bytes, result.extra["lowest_peak"], result.extra["highest_peak"]) == (200, 100, 300)
    assert len(result.samples) == 3
    failed = Result(suite="memory", id="6x256-f32", status=FAILED, reason="killed")
    assert of_processes([*found, failed]) is failed
