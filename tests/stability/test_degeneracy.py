"""The warning about samples that repeat themselves."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.train.test_run import Recorder

from alpha_core import Plugins
from alpha_core.config import RunConfig, SampleConfig
from alpha_core.observer import Sample
from alpha_train import start_run
from alpha_train.degeneracy import degeneracy_warning, repeated_share

PROSE = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it"
    " was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of"
    " Darkness, it was the spring of hope, it was the winter of despair."
)


@pytest.mark.parametrize("text", ["the cat sat on " * 20, "ha " * 12, "a" * 200, "abc" * 60, "=" * 100, "x = 1\n" * 30])
def test_repetition_is_degenerate(text: str) -> None:
    assert repeated_share(text) > 0.5


@pytest.mark.parametrize("text", ["", " \n\t", "no no no no no", PROSE, " ".join(map(str, range(100)))])
def test_good_and_short_texts_are_not(text: str) -> None:
    assert repeated_share(text) < 0.2


def test_the_share_is_that_of_4_grams_that_stood_before() -> None:
    once = "a b c d e f g h"  # 5 4-grams
    assert repeated_share(once) == 0.0
    assert repeated_share(f"{once} a b c d") == pytest.approx(1 / 9)


@given(st.text(max_size=300))
def test_it_is_a_share_of_any_text(text: str) -> None:
    assert 0.0 <= repeated_share(text) < 1.0


@given(st.lists(st.integers(), unique=True, min_size=8, max_size=50))
def test_distinct_words_never_repeat(numbers: list[int]) -> None:
    assert repeated_share(" ".join(f"{abs(number) % 10**6}:{index}" for index, number in enumerate(numbers))) == 0.0


def test_the_warning_names_the_samples() -> None:
    samples = [Sample(prompt="p", output=text) for text in (PROSE, "so so " * 10, PROSE)]
    event = degeneracy_warning(7, samples)
    assert event is not None
    assert (event.kind, event.level, event.step) == ("sample_degeneracy_warning", "warning", 7)
    assert event.payload["samples"] == [1]
    assert event.payload["repeated_share"] == repeated_share("so so " * 10)
    assert "1 of 3 samples" in event.message
    assert degeneracy_warning(7, samples[:1]) is None


def test_a_run_warns_of_its_samples(make_config: Callable[..., RunConfig], plugins: Plugins) -> None:
    recorder = Recorder()
    config = make_config(sample_interval=12, lr=1e-6)
    config = RunConfig(
        model=config.model, train=config.train, sample=SampleConfig(steps=120, temperature=0.0)
    )  # an untrained model's likeliest characters go round in circles
    start_run(config, plugins, prompts=["line "], observer=recorder)
    (event,) = [event for event in recorder.of("event") if event.kind == "sample_degeneracy_warning"]
    assert event.step == 12
