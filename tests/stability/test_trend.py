"""Warnings about the trend of the losses, and stopping early."""

import json
from collections.abc import Callable, Sequence

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.train.test_run import Recorder, StopAfter, stored_config

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.observer import Event
from alpha_train import resume_run, start_run
from alpha_train.trend import Trend

MakeConfig = Callable[..., RunConfig]
NAN = float("nan")


def warnings(train: Sequence[float], validation: Sequence[float], trend: Trend | None = None) -> list[Event]:
    """Returns the warnings of a run with two steps before each evaluation."""
    trend = trend if trend is not None else Trend()
    events = []
    for step, (loss, validation_loss) in enumerate(zip(train, validation, strict=True), start=1):
        trend.add_step(loss - 0.5)
        trend.add_step(loss + 0.5)
        events.append(trend.add_evaluation(step, validation_loss))
    return [event for event in events if event is not None]


def test_six_evaluations_without_a_change_of_a_percent_are_a_plateau() -> None:
    assert warnings([2.0] * 5, [2.1] * 5) == []
    (event,) = warnings([2.0, 2.5, 1.5, 2.0, 2.0, 1.981], [2.1, 2.1, 2.1, 2.1, 2.1, 2.12])
    assert (event.kind, event.level, event.step) == ("train_status_warning", "warning", 6)
    assert event.payload["status"] == "plateau"
    assert event.payload["evaluations"] == 6
    assert event.payload["loss_change"] == pytest.approx(-0.0095)
    assert event.payload["valLoss_change"] == pytest.approx(0.02 / 2.1)
    assert event.payload["gap"] == pytest.approx(2.12 - 1.981)
    assert "plateau" in event.message


@pytest.mark.parametrize("train_end", [1.979, 2.021])
def test_a_change_of_more_than_a_percent_is_no_plateau(train_end: float) -> None:
    assert warnings([2.0] * 5 + [train_end], [2.0] * 6) == []


@pytest.mark.parametrize(
    ("train_end", "validation_end", "warned"),
    [
        (1.95, 2.05, True),
        (1.985, 2.05, False),  # training fell by less than 1%
        (1.95, 2.005, False),  # validation rose by less than 0.3%
    ],
)
def test_better_in_training_and_worse_in_validation_is_overfitting(
    train_end: float, validation_end: float, warned: bool
) -> None:
    events = warnings([2.0] * 5 + [train_end], [2.0] * 5 + [validation_end])
    assert [event.payload["status"] for event in events] == ["overfit"] * warned


def test_a_small_gap_is_no_overfitting() -> None:
    assert warnings([2.0] * 5 + [1.9], [1.9] * 5 + [1.92]) == []


def test_a_warning_comes_once_until_something_changes() -> None:
    losses = [2.0] * 10 + [1.0] * 12
    assert [event.step for event in warnings(losses, losses)] == [6, 16]


def test_the_training_loss_is_the_mean_since_the_last_evaluation() -> None:
    trend = Trend()
    for loss in (1.0, 2.0, NAN, 6.0):
        trend.add_step(loss)
    trend.add_evaluation(4, 2.0)
    assert trend.train_losses == [3.0]


def test_evaluations_that_say_nothing_do_not_count() -> None:
    trend = Trend()
    assert trend.add_evaluation(0, 2.0) is None  # no step before it
    trend.add_step(2.0)
    assert trend.add_evaluation(1, NAN) is None
    assert trend.validation_losses == []


losses = st.floats(0.5, 8.0)


@given(st.lists(st.tuples(losses, losses), max_size=20), st.integers(0, 20))
def test_a_stored_trend_goes_on_as_if_it_had_not_been_stored(rows: list[tuple[float, float]], cut: int) -> None:
    def split(part: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
        return [train for train, _ in part], [validation for _, validation in part]

    straight, before = Trend(), Trend()
    events = warnings(*split(rows), straight)
    first = warnings(*split(rows[:cut]), before)
    after = Trend(**json.loads(json.dumps(attrs.asdict(before))))
    second = warnings(*split(rows[cut:]), after)
    assert after == straight
    assert [event.payload for event in first + second] == [event.payload for event in events]


def test_a_run_that_learns_nothing_is_warned_of(make_config: MakeConfig, plugins: Plugins) -> None:
    recorder = Recorder()
    start_run(make_config(iters=14, eval_interval=2, lr=1e-7), plugins, observer=recorder)
    (event,) = [event for event in recorder.of("event") if event.kind == "train_status_warning"]
    assert event.payload["status"] == "plateau"
    assert event.step >= 12


def test_a_run_stops_early_and_names_the_best_step(make_config: MakeConfig, plugins: Plugins) -> None:
    recorder = Recorder()
    config = make_config(iters=200, eval_interval=2, lr=2.0, warmup=-1, early_stop=3, sample_interval=50)
    finished = start_run(config, plugins, observer=recorder)
    best = finished.folder.read_best()
    assert best is not None
    assert finished.result.status == "early_stopped"
    assert finished.result.step == best.step + 6 < 200
    assert {best.step, finished.result.step} <= set(finished.folder.checkpoint_steps())
    (event,) = [event for event in recorder.of("event") if event.kind == "early_stop"]
    assert f"the best, {best.val_loss:.4f}, was at step {best.step}" in event.message
    assert event.payload == {"evaluations": 3, "bestStep": best.step, "bestValLoss": best.val_loss}
    assert recorder.of("finish")[0]["status"] == "early_stopped"
    assert recorder.of("samples")[-1][0] == finished.result.step, "samples come at the end, as in a completed run"
    assert "training_complete" not in [event.kind for event in recorder.of("event")]

    stored = stored_config(finished.folder)
    again = resume_run(finished.folder, stored, plugins).result
    assert (again.status, again.step) == ("early_stopped", finished.result.step), "resuming it alone takes no step"
    patient = attrs.evolve(stored, train=attrs.evolve(stored.train, early_stop=0, iters=finished.result.step + 3))
    assert resume_run(finished.folder, patient, plugins).result.status == "completed"


def test_an_interrupted_run_keeps_counting_towards_an_early_stop(make_config: MakeConfig, plugins: Plugins) -> None:
    config = make_config(iters=200, eval_interval=2, lr=2.0, warmup=-1, early_stop=3)
    straight = start_run(config, plugins).result
    stopped = start_run(config, plugins, stop=StopAfter(straight.step - 3))
    assert stopped.result.status == "stopped"
    assert stopped.result.progress.evaluations_since_best > 0
    assert resume_run(stopped.folder, stored_config(stopped.folder), plugins).result == straight


def test_early_stopping_that_can_do_nothing_is_a_note(make_config: MakeConfig, plugins: Plugins) -> None:
    for settings in ({"validation_fraction": 0.0}, {"eval_interval": 0}):
        notes: list[str] = []
        result = start_run(make_config(early_stop=2, iters=3, **settings), plugins, note=notes.append).result
        assert result.status == "completed"
        assert any("`early_stop` does nothing" in note for note in notes)


def test_asked_for_evaluations_do_not_count_towards_an_early_stop(make_config: MakeConfig, plugins: Plugins) -> None:
    recorder = Recorder()
    config = make_config(iters=12, eval_interval=6, lr=2.0, warmup=-1, early_stop=2)
    finished = start_run(config, plugins, observer=recorder, status_wanted=lambda: True)
    assert finished.result.step == 12
    assert [metrics["step"] for metrics in recorder.of("step") if "valLoss" in metrics] == list(range(1, 13))
    reports = [event for event in recorder.of("event") if event.kind == "status_report"]
    assert [event.step for event in reports] == list(range(1, 13))
    assert len(finished.result.progress.trend.validation_losses) == 2
    quiet = start_run(config, plugins).folder.latest_checkpoint()
    for name, array in finished.folder.latest_checkpoint().parameters.items():
        assert (array == quiet.parameters[name]).all(), "asking changes nothing in training"
