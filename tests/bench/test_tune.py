"""`alpha bench tune`: what is varied, what is accepted, and the profile."""

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from tests.bench.conftest import TINY, RunAlpha
from tests.bench.test_loop import GOOD

from alpha_bench.loop.outcome import Outcome, Status, classify
from alpha_bench.tune.candidate import Candidate, Dimension, dimensions_of
from alpha_bench.tune.search import best_trial, search
from alpha_core.config import TrainConfig
from alpha_core.config.profile import read_profile
from alpha_core.errors import UsageError
from alpha_core.knob import Knob

KNOBS = (
    Knob("threads", "Threads.", 1, (1, 2, 4), False),
    Knob("chunk", "Tokens in a chunk.", 256, (128, 256), True),
    Knob("fixed", "One choice.", 1, (1,), False),
)
START = Candidate(batch_size=8, accum_steps=1, knobs=(("threads", 1), ("chunk", 256)))
TUNE = ("bench", "tune", "--backend=paced", *TINY, "--steps=6", "--spread=1000")


def outcome(speed: float, status: Status = Status.ok) -> Outcome:
    measured = classify(attrs.evolve(GOOD, step_seconds=[100 / speed] * 8))
    return attrs.evolve(measured, status=status)


def names_of(dimensions: list[Dimension]) -> list[str]:
    return [dimension.name for dimension in dimensions]


def test_knobs_with_a_choice_and_batches_are_varied() -> None:
    dimensions = dimensions_of(TrainConfig(batch_size=8), KNOBS)
    assert names_of(dimensions) == ["threads", "chunk", "batch"]
    assert dimensions[0].values == ((1,), (2,), (4,))


def test_batches_keep_the_sequences_of_a_step() -> None:
    (batch,) = dimensions_of(TrainConfig(batch_size=6, accum_steps=2), ())
    assert batch.values == ((12, 1), (6, 2), (3, 4))


def test_free_batches_do_not() -> None:
    (batch,) = dimensions_of(TrainConfig(batch_size=8), (), free_batch=True)
    assert batch.values == ((2, 1), (4, 1), (8, 1), (16, 1), (32, 1))


def test_what_changes_results_can_be_left_alone() -> None:
    assert names_of(dimensions_of(TrainConfig(batch_size=1), KNOBS, keep_results=True)) == ["threads"]


def test_only_some_can_be_varied_and_a_wrong_name_is_told() -> None:
    assert names_of(dimensions_of(TrainConfig(), KNOBS, only=["batch", "threads"])) == ["threads", "batch"]
    with pytest.raises(UsageError, match=r"`thread` cannot be varied.*\n.*did you mean `threads`"):
        dimensions_of(TrainConfig(), KNOBS, only=["thread"])


def searched(
    speed: Callable[[Candidate], Outcome], *, grid: bool = False, most: int = 1000
) -> tuple[list[Candidate], Candidate | None]:
    measured: list[Candidate] = []

    def measure(candidate: Candidate) -> Outcome:
        measured.append(candidate)
        return speed(candidate)

    dimensions = dimensions_of(TrainConfig(batch_size=8), KNOBS)
    trials = search(START, dimensions, measure, grid=grid, time_left=lambda: len(measured) < most)
    assert [trial.candidate for trial in trials] == measured
    best = best_trial(trials)
    return measured, best.candidate if best is not None else None


def speed_of(candidate: Candidate) -> Outcome:
    """Fastest at threads 4, chunk 128 and batch 4 x 2."""
    knobs = dict(candidate.knobs)
    return outcome(100 * knobs["threads"] / (knobs["chunk"] / 128) / abs(candidate.accum_steps - 2.5))


@pytest.mark.parametrize("grid", [False, True])
def test_a_search_finds_the_fastest_candidate_and_measures_none_twice(grid: bool) -> None:
    measured, best = searched(speed_of, grid=grid)
    assert best == Candidate(batch_size=4, accum_steps=2, knobs=(("threads", 4), ("chunk", 128)))
    assert len(measured) == len(set(measured))
    assert len(measured) == 3 * 2 * 4 if grid else len(measured) < 3 * 2 * 4


def test_a_candidate_that_is_not_ok_never_wins_however_fast() -> None:
    def measure(candidate: Candidate) -> Outcome:
        threads = dict(candidate.knobs)["threads"]
        return outcome(1000.0, Status.unstable) if threads == 4 else outcome(threads * 10.0)

    _, best = searched(measure)
    assert best is not None
    assert dict(best.knobs)["threads"] == 2


def test_nothing_wins_where_nothing_is_ok() -> None:
    _, best = searched(lambda candidate: outcome(10.0, Status.smoke_fail))
    assert best is None


def test_a_hair_faster_is_not_faster() -> None:
    _, best = searched(lambda candidate: outcome(100.0 + 0.1 * candidate.accum_steps))
    assert best == START


def test_the_time_ends_a_search() -> None:
    assert len(searched(speed_of, most=3)[0]) == 3
    assert len(searched(speed_of, grid=True, most=3)[0]) == 3


def test_the_winner_becomes_a_profile_that_training_takes(
    alpha: RunAlpha, faulty_backends: None, tmp_path: Path
) -> None:
    done = alpha(*TUNE, "--only=pace", "--out=fast.toml")
    assert done.code == 0, done.err
    assert "pace 3: failed" in done.err
    assert done.out.startswith("batch 2 x 1, pace 2: ")
    profile = read_profile(tmp_path / "fast.toml")
    assert (profile.backend, profile.version) == ("paced", "0.1.0")
    assert profile.train == {"batch_size": 2, "accum_steps": 1, "knobs": ["pace=2"]}
    assert profile.tokens_per_second is not None
    assert profile.tokens_per_second > 0
    shown = alpha("train", "--data=python", "--profile=fast.toml", "--print-config").out
    assert 'knobs = ["pace=2"]' in shown
    assert 'backend = "paced"' in shown


def test_nothing_is_written_where_nothing_is_ok(alpha: RunAlpha, faulty_backends: None, tmp_path: Path) -> None:
    done = alpha(*TUNE, "--backend=not_finite", "--free-batch", "--budget=1")
    assert done.code == 1
    assert "candidates is ok: the loss of" in done.err
    assert "no profile was written" in done.err
    assert not (tmp_path / "profile.toml").exists()


def test_the_command_prints_json(alpha: RunAlpha) -> None:
    done = alpha(*TUNE, "--backend=cpu_ref", "--budget=0.01", "--json")
    content = json.loads(done.out)
    assert [trial["status"] for trial in content["trials"]] == ["ok"]
    assert (content["gain"], content["profile"]) == (1.0, "profile.toml")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only=speed"], "`speed` cannot be varied here; there is `batch`"),
        (["--budget=0"], "`--budget` is a number above 0"),
        (["--out=none/profile.toml"], "there is no folder `none`"),
    ],
)
def test_mistakes_of_the_command(alpha: RunAlpha, flags: list[str], message: str) -> None:
    done = alpha("bench", "tune", "--backend=cpu_ref", *TINY, *flags)
    assert (done.code, message in done.err) == (2, True)
