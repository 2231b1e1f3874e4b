"""Sampling: the distribution, greedy choice against the full forward pass, windows, ends, seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.config import ModelConfig, SampleConfig
from alpha_core.errors import UsageError
from alpha_core.tokenizer import END_OF_TEXT
from alpha_model import GPT
from alpha_tensor import CpuRef
from alpha_tokenizers import BpeTokenizer, CharTokenizer
from alpha_train.sampler import Sampler, choose_token, probabilities

TEXT = "to be, or not to be: that is the question\n" * 3


def make_sampler(seed: int = 0, block_size: int = 8, tokenizer: object = None) -> Sampler:
    tokenizer = tokenizer or CharTokenizer.train([TEXT])
    config = ModelConfig(vocab_size=tokenizer.vocab_size, block_size=block_size, n_layer=2, n_embd=16, n_head=2)  # type: ignore[attr-defined]
    model, backend = GPT(config), CpuRef()
    generator = np.random.default_rng(seed)
    values = {
        name: value + 0.4 * generator.standard_normal(value.shape)
        for name, value in model.initial_parameters(0).items()
    }
    return Sampler(model, backend, {name: backend.upload(value) for name, value in values.items()}, tokenizer)  # type: ignore[arg-type]


def full_forward(sampler: Sampler, sequence: list[int]) -> np.ndarray:
    """Returns the logits after the last of at most block_size tokens, without padding."""
    window = np.array([sequence[-sampler.model.config.block_size :]], np.int32)
    logits = sampler.model.logits(sampler.backend, sampler.parameters, sampler.backend.upload(window))
    return sampler.backend.download(logits)[-1]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 8, 11])
def test_padding_does_not_change_the_next_logits(length: int) -> None:
    sampler = make_sampler()
    sequence = sampler.tokenizer.encode(TEXT)[:length]
    np.testing.assert_allclose(sampler.next_logits(sequence), full_forward(sampler, sequence), rtol=1e-10)


def test_greedy_tokens_are_those_of_the_full_forward_pass_also_past_the_block_size() -> None:
    sampler = make_sampler()
    end = sampler.tokenizer.specials[END_OF_TEXT]
    sequence = sampler.tokenizer.encode("to be")
    expected = []
    for _ in range(20):
        token = int(np.argmax(full_forward(sampler, sequence)))
        if token == end:
            break
        expected.append(token)
        sequence.append(token)
    assert list(sampler.tokens("to be", SampleConfig(steps=20, temperature=0.0))) == expected
    assert len(expected) > 3


@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=12),
    st.integers(0, 12),
    st.floats(0.01, 1.0),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
)
def test_the_distribution_obeys_its_limits(logits: list[float], top_k: int, top_p: float, temperature: float) -> None:
    array = np.array(logits)
    result = probabilities(array, SampleConfig(top_k=top_k, top_p=top_p, temperature=temperature))
    assert result.sum() == pytest.approx(1.0)
    assert (result >= 0).all()
    kept = result > 0
    assert kept[int(np.argmax(array))]
    if top_k:
        assert kept.sum() <= top_k
    if temperature == 0:
        assert kept.sum() == 1
    if kept.any() and not kept.all():
        assert array[kept].min() >= array[~kept].max()


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    for top_p, count in ((0.4, 1), (0.6, 2), (0.85, 3), (1.0, 4)):
        result = probabilities(logits, SampleConfig(top_p=top_p, top_k=0, temperature=1.0))
        assert (result > 0).sum() == count
    np.testing.assert_allclose(
        probabilities(logits, SampleConfig(top_p=0.6, top_k=0, temperature=1.0))[:2], [0.625, 0.375]
    )


def test_draws_follow_the_distribution() -> None:
    logits = np.log(np.array([0.1, 0.6, 0.3]))
    config = SampleConfig(temperature=1.0, top_k=0)
    draws = [choose_token(logits, config, position, 0) for position in range(4000)]
    np.testing.assert_allclose(np.bincount(draws, minlength=3) / 4000, [0.1, 0.6, 0.3], atol=0.03)


def test_samples_depend_on_seed_and_number_alone() -> None:
    sampler = make_sampler()
    config = SampleConfig(steps=15, temperature=1.0)
    first = sampler.sample("to", config)
    assert make_sampler().sample("to", config) == first
    assert sampler.sample("to", config, row=1) != first
    assert sampler.sample("to", SampleConfig(steps=15, temperature=1.0, sample_seed=9)) != first


def test_streamed_pieces_join_to_the_sample_even_with_split_characters() -> None:
    tokenizer = BpeTokenizer.train(["naïve café 😀 " * 4], vocab_size=262)
    sampler = make_sampler(tokenizer=tokenizer)
    for seed in range(5):
        config = SampleConfig(steps=25, temperature=1.5, top_k=0, sample_seed=seed)
        assert "".join(sampler.stream("é", config)) == sampler.sample("é", config)


def test_the_end_of_text_token_ends_a_sample() -> None:
    sampler = make_sampler()
    end = sampler.tokenizer.specials[END_OF_TEXT]
    head = sampler.backend.download(sampler.parameters["lmHead"])
    hidden_sign = 1e3 * np.ones(head.shape[1])
    head[end] = hidden_sign
    certain = {**sampler.parameters, "lmHead": sampler.backend.upload(head)}
    bias = sampler.backend.upload(np.full(head.shape[1], 1.0))
    certain |= {"lnF.bias": bias, "lnF.weight": sampler.backend.zeros(bias.shape, bias.dtype)}
    ended = Sampler(sampler.model, sampler.backend, certain, sampler.tokenizer)
    assert ended.sample("to be", SampleConfig(steps=10, temperature=0.0)) == ""


def test_an_empty_prompt_starts_a_new_document() -> None:
    sampler = make_sampler()
    config = SampleConfig(steps=5, temperature=0.0)
    end = sampler.tokenizer.specials[END_OF_TEXT]
    assert next(iter(sampler.tokens("", config))) == int(np.argmax(full_forward(sampler, [end])))


def test_an_empty_prompt_without_that_token_is_refused() -> None:
    class Bare(CharTokenizer):
        specials = {}  # type: ignore[assignment]  # noqa: RUF012

    sampler = make_sampler()
    bare = Sampler(sampler.model, sampler.backend, sampler.parameters, Bare.train([TEXT]))
    with pytest.raises(UsageError, match="an empty prompt needs a tokenizer with an end-of-text token"):
        next(iter(bare.tokens("", SampleConfig())))
