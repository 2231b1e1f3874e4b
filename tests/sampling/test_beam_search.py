"""Beam search against a search of every text, against greedy choice, and its rules by small examples."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sampling.helpers import draft, make_sampler

from alpha_core.config import SampleConfig
from alpha_core.tokenizer import END_OF_TEXT
from alpha_tokenizers import CharTokenizer
from alpha_train.sampling.beam_search import beam_search
from alpha_train.sampling.completion import Completion
from alpha_train.sampling.distribution import log_softmax, penalize_repetition
from alpha_train.sampling.draft import Draft

TOKENIZER = CharTokenizer.train(["ab"])
A, B = TOKENIZER.encode("ab")
END = TOKENIZER.specials[END_OF_TEXT]
SIZE = TOKENIZER.vocab_size

NextLogits = Callable[[Sequence[Sequence[int]]], np.ndarray]


def arbitrary_model(seed: int) -> NextLogits:
    """Returns a model whose logits are a fixed random function of the whole context."""

    def next_logits(contexts: Sequence[Sequence[int]]) -> np.ndarray:
        return np.stack([3 * np.random.default_rng([seed, *context]).standard_normal(SIZE) for context in contexts])

    return next_logits


def model_of(table: Mapping[str, Mapping[int, float]]) -> NextLogits:
    """Returns a model by the probabilities after each text; what is not in the table has next to none."""

    def row(context: Sequence[int]) -> np.ndarray:
        probabilities = np.full(SIZE, 1e-9)
        for token, probability in table.get(TOKENIZER.decode(context), {END: 1.0}).items():
            probabilities[token] = probability
        return np.log(probabilities)

    return lambda contexts: np.stack([row(context) for context in contexts])


def start(config: SampleConfig) -> Draft:
    return Draft.of("a", 0, TOKENIZER, config, block_size=100)


def search(model: NextLogits, config: SampleConfig) -> Completion:
    return beam_search(model, start(config), config)


def every_text(steps: int) -> Iterator[tuple[int, ...]]:
    """Yields every way to write: up to the end-of-text token, or `steps` tokens."""
    others = [token for token in range(SIZE) if token != END]
    for length in range(1, steps + 1):
        for beginning in itertools.product(others, repeat=length - 1):
            yield (*beginning, END)
    yield from itertools.product(others, repeat=steps)


def score_of(text: Sequence[int], model: NextLogits, config: SampleConfig) -> float:
    context, logprob = [A], 0.0
    for token in text:
        logits = penalize_repetition(model([context])[0], context, config.repetition_penalty)
        logprob += float(log_softmax(logits)[token])
        context.append(token)
    return logprob / len(text) ** config.beam_length_penalty


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.integers(1, 4), st.floats(0, 3), st.sampled_from([1.0, 1.7]))
def test_a_beam_as_wide_as_everything_finds_the_best_text_of_all(
    seed: int, steps: int, length_penalty: float, repetition_penalty: float
) -> None:
    model = arbitrary_model(seed)
    config = SampleConfig(
        steps=steps,
        beam=SIZE**steps,
        beam_length_penalty=length_penalty,
        repetition_penalty=repetition_penalty,
    )
    found = search(model, config)
    scores = {text: score_of(text, model, config) for text in every_text(steps)}
    best = max(scores, key=lambda text: scores[text])
    ids = tuple(token.id for token in found.tokens)
    assert (ids if found.stop_reason == "length" else (*ids, END)) == best
    assert found.beam_score == pytest.approx(scores[best])


@pytest.mark.parametrize("seed", range(4))
def test_one_beam_is_the_greedy_choice(seed: int) -> None:
    sampler = make_sampler(seed)
    config = SampleConfig(steps=20, temperature=0.0, beam=1)
    (greedy,) = sampler.complete(["to"], config)
    found = beam_search(sampler._next_logits, draft(sampler, "to", config), config)
    assert (found.text, found.stop_reason) == (greedy.text, greedy.stop_reason)
    assert [token.id for token in found.tokens] == [token.id for token in greedy.tokens]
    logprobs = [[token.logprob for token in completion.tokens] for completion in (found, greedy)]
    assert logprobs[0] == pytest.approx(logprobs[1])


def test_a_wider_beam_finds_what_greedy_choice_misses() -> None:
    model = model_of({"a": {A: 0.6, B: 0.4}, "aa": {A: 0.3, B: 0.3, END: 0.4}, "ab": {A: 0.9, B: 0.1}})
    texts = {beam: search(model, SampleConfig(steps=2, beam=beam, temperature=0)).text for beam in (1, 2)}
    assert texts == {1: "a", 2: "ba"}


def test_the_length_penalty_favours_longer_texts() -> None:
    model = model_of(
        {"a": {END: 0.3, B: 0.7}, "ab": {B: 0.6, A: 0.4}, "abb": {B: 0.6, A: 0.4}, "aba": {A: 0.5, B: 0.5}}
    )
    assert search(model, SampleConfig(steps=3, beam=8, beam_length_penalty=0)).text == ""
    assert search(model, SampleConfig(steps=3, beam=8, beam_length_penalty=1)).text == "bbb"


def test_equal_beams_go_by_token_so_that_the_search_is_deterministic() -> None:
    def even(contexts: Sequence[Sequence[int]]) -> np.ndarray:
        return np.zeros((len(contexts), SIZE))

    lowest = min(token for token in range(SIZE))
    assert [token.id for token in search(even, SampleConfig(steps=3, beam=2)).tokens] == [lowest] * 3


def test_a_stop_string_ends_a_beam() -> None:
    model = model_of({"a": {B: 0.9, A: 0.1}, "ab": {A: 0.9, B: 0.1}, "aba": {B: 1.0}})
    found = search(model, SampleConfig(steps=4, beam=2, stop=("ba",)))
    assert (found.text, found.stop_reason, found.stop_string) == ("", "stop_string", "ba")
    assert found.beam_score == pytest.approx(np.log(0.81) / 2, abs=1e-6)


def test_all_beams_are_computed_in_one_batch() -> None:
    sizes = []
    model = arbitrary_model(0)

    def endless(contexts: Sequence[Sequence[int]]) -> np.ndarray:
        sizes.append(len(contexts))
        logits = model(contexts)
        logits[:, END] = -1e3
        return logits

    search(endless, SampleConfig(steps=5, beam=3))
    assert sizes == [1, 3, 3, 3, 3]


def test_a_beam_that_ended_narrows_the_search() -> None:
    sizes = []
    model = model_of(
        {"a": {A: 0.4, B: 0.35, END: 0.25}, "aa": {A: 1.0}, "ab": {A: 1.0}, "aaa": {A: 1.0}, "aba": {A: 1}}
    )

    def counted(contexts: Sequence[Sequence[int]]) -> np.ndarray:
        sizes.append(len(contexts))
        return model(contexts)

    search(counted, SampleConfig(steps=3, beam=3))
    assert sizes == [1, 2, 2]


def test_the_sampler_searches_each_prompt() -> None:
    sampler = make_sampler()
    config = SampleConfig(steps=12, beam=3)
    both = sampler.complete(["to", "be"], config)
    assert [completion.prompt for completion in both] == ["to", "be"]
    assert both == [*sampler.complete(["to"], config), *sampler.complete(["be"], config)]
    assert all(completion.beam_score is not None for completion in both)
    pieces = list(sampler.stream(["to", "be"], config))
    assert [(piece.index, piece.text) for piece in pieces] == [(0, both[0].text), (1, both[1].text)]
