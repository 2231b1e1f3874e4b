"""Timing, and what follows from samples."""

import pytest

from alpha_bench import Effort, Summary
from alpha_bench.measure import measure


class Watch:
    """A clock that the measured work moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_warmup_is_no_sample_and_the_first_call_is_reported() -> None:
    watch, costs = Watch(), iter([9.0, 3.0, 1.0, 1.5, 2.0])

    def run(times: int) -> None:
        watch.now += next(costs)

    timing = measure(run, Effort(warmup=2, least=3, most=3), watch)
    assert timing.samples == [1.0, 1.5, 2.0]
    assert (timing.first, timing.warmup, timing.calls) == (9.0, 2, 1)


def test_short_work_is_repeated_within_a_sample() -> None:
    watch, asked = Watch(), []

    def run(times: int) -> None:
        asked.append(times)
        watch.now += times * 0.001

    timing = measure(run, Effort(warmup=1, least=2, most=2), watch)
    assert asked == [1, 5, 5]  # a sample is 5 ms or more
    assert timing.samples == pytest.approx([0.001, 0.001])


def test_samples_go_on_until_the_time_is_up_or_there_are_enough() -> None:
    watch = Watch()

    def run(times: int) -> None:
        watch.now += 0.1

    assert len(measure(run, Effort(warmup=1, least=3, most=50, seconds=1.05), watch).samples) == 11
    assert len(measure(run, Effort(warmup=1, least=3, most=5, seconds=1.05), watch).samples) == 5


def test_work_may_know_its_seconds_better_than_the_watch() -> None:
    assert measure(lambda times: 7.0 * times, Effort(warmup=0, least=2, most=2)).samples == [7.0, 7.0]


def test_heavy_work_has_no_warmup_and_few_samples() -> None:
    timing = measure(lambda times: 1.0, Effort().heavy())
    assert (timing.warmup, len(timing.samples)) == (0, 5)


def test_a_summary_has_the_median_and_the_quartiles() -> None:
    summary = Summary.of([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (summary.minimum, summary.quartile_1, summary.median, summary.quartile_3, summary.maximum) == (1, 2, 3, 4, 5)
    assert summary.spread == pytest.approx(2 / 3)


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_a_summary_needs_finite_samples(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        Summary.of(samples)
