"""Draws: against the full forward pass, one by one and in a batch, streamed, ended, and with log-probabilities."""

import attrs
import numpy as np
import pytest
from tests.sampling.helpers import TEXT, full_forward, make_sampler

from alpha_core.config import SampleConfig
from alpha_core.errors import AlphaError, UsageError
from alpha_core.tokenizer import END_OF_TEXT
from alpha_tokenizers import BpeTokenizer, CharTokenizer
from alpha_train.sampling import Completion, Sampler
from alpha_train.sampling.distribution import log_softmax
from alpha_train.sampling.next_logits import NextLogits


def ids(completion: Completion) -> list[int]:
    return [token.id for token in completion.tokens]


def logits_of(sampler: Sampler) -> NextLogits:
    return NextLogits(sampler.model, sampler.backend, sampler.parameters)


def with_certain_token(sampler: Sampler, token: int) -> Sampler:
    """Returns a sampler whose model always writes one token."""
    head = sampler.backend.download(sampler.parameters["lmHead"]).copy()
    head[:] = 0
    head[token] = 1e3
    ones = sampler.backend.upload(np.ones(head.shape[1]))
    certain = {
        **sampler.parameters,
        "lmHead": sampler.backend.upload(head),
        "lnF.bias": ones,
        "lnF.weight": sampler.backend.zeros(ones.shape, ones.dtype),
    }
    return Sampler(sampler.model, sampler.backend, certain, sampler.tokenizer)


def test_contexts_of_all_lengths_in_one_batch_get_their_own_logits() -> None:
    sampler = make_sampler()
    tokens = sampler.tokenizer.encode(TEXT)
    contexts = [tokens[i : i + length] for i, length in enumerate([1, 2, 3, 5, 7, 8, 1])]
    expected = np.stack([full_forward(sampler, context, []) for context in contexts])
    next_logits = logits_of(sampler)
    np.testing.assert_allclose(next_logits(contexts), expected, rtol=1e-10)
    for context, alone in zip(contexts, expected, strict=True):
        np.testing.assert_allclose(next_logits([context])[0], alone, rtol=1e-10)
    np.testing.assert_allclose(next_logits(contexts[:5]), expected[:5], rtol=1e-10)  # a batch with idle rows


def test_a_batch_too_large_for_one_pass_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = make_sampler()
    contexts = [sampler.tokenizer.encode(TEXT)[i : i + 4] for i in range(7)]
    expected = logits_of(sampler)(contexts)
    monkeypatch.setattr("alpha_train.sampling.next_logits.TOKENS_AT_ONCE", 8)
    np.testing.assert_allclose(logits_of(sampler)(contexts), expected, rtol=1e-10)


def test_logits_that_are_not_finite_are_an_error() -> None:
    sampler = make_sampler()
    broken = sampler.backend.upload(np.full(sampler.parameters["lnF.bias"].shape, np.nan))
    damaged = Sampler(sampler.model, sampler.backend, {**sampler.parameters, "lnF.bias": broken}, sampler.tokenizer)
    with pytest.raises(AlphaError, match="not finite"):
        damaged.complete(["to"], SampleConfig())


def test_greedy_tokens_are_those_of_the_full_forward_pass_also_past_the_block_size() -> None:
    sampler = make_sampler()
    end = sampler.tokenizer.specials[END_OF_TEXT]
    prompt = sampler.tokenizer.encode("to be")
    expected: list[int] = []
    for _ in range(20):
        token = int(np.argmax(full_forward(sampler, prompt, expected)))
        if token == end:
            break
        expected.append(token)
    (completion,) = sampler.complete(["to be"], SampleConfig(steps=20, temperature=0.0))
    assert ids(completion) == expected
    assert completion.text == sampler.tokenizer.decode(expected)
    assert len(expected) > 3


def test_samples_in_a_batch_are_those_one_by_one() -> None:
    sampler = make_sampler()
    prompts, config = ["to", "", "that is the question"], SampleConfig(steps=15, temperature=1.3, num_samples=3)
    together = sampler.complete(prompts, config)
    assert [(c.prompt, c.number) for c in together] == [(prompt, n) for prompt in prompts for n in range(3)]
    for prompt in prompts:
        fewer = attrs.evolve(config, num_samples=2)
        alone = sampler.complete([prompt], fewer)
        assert [(ids(c), c.text, c.stop_reason) for c in alone] == [
            (ids(c), c.text, c.stop_reason) for c in together if c.prompt == prompt and c.number < 2
        ]
    assert len({c.text for c in together}) == len(together)


def test_samples_depend_on_the_seed() -> None:
    config = SampleConfig(steps=15, temperature=1.0)
    (first,) = make_sampler().complete(["to"], config)
    assert make_sampler().complete(["to"], config) == [first]
    assert make_sampler().complete(["to"], attrs.evolve(config, sample_seed=9))[0].text != first.text


def test_streamed_pieces_join_to_the_completions_even_with_split_characters() -> None:
    sampler = make_sampler(tokenizer=BpeTokenizer.train(["naïve café 😀 " * 4], vocab_size=262))
    config = SampleConfig(steps=25, temperature=1.5, top_k=0, num_samples=4, stop=("é", "zz"))
    joined = dict.fromkeys(range(8), "")
    ended = {}
    for piece in sampler.stream(["é", "a"], config):
        assert piece.index not in ended
        joined[piece.index] += piece.text
        if piece.completion is not None:
            ended[piece.index] = piece.completion
    completions = sampler.complete(["é", "a"], config)
    assert [ended[index] for index in range(8)] == completions
    assert list(joined.values()) == [completion.text for completion in completions]


def test_a_stop_string_cuts_the_text_and_nothing_of_it_is_streamed() -> None:
    sampler = make_sampler()
    config = SampleConfig(steps=30, temperature=1.0)
    (whole,) = sampler.complete(["to"], config)
    stop = whole.text[7:11]
    stopped_config = attrs.evolve(config, stop=("???", stop))
    (stopped,) = sampler.complete(["to"], stopped_config)
    place = whole.text.index(stop)
    assert stopped.text == whole.text[:place]
    assert (stopped.stop_reason, stopped.stop_string) == ("stop_string", stop)
    assert stopped.tokens == whole.tokens[: place + len(stop)]  # a token is a character here
    shown = ""
    for piece in sampler.stream(["to"], stopped_config):
        shown += piece.text
        assert stopped.text.startswith(shown)


def test_the_length_ends_a_sample_and_what_was_held_back_is_text_then() -> None:
    sampler = with_certain_token(make_sampler(), CharTokenizer.train([TEXT]).encode("t")[0])
    (completion,) = sampler.complete(["to"], SampleConfig(steps=5, stop=("tttttt!",)))
    assert (completion.text, completion.stop_reason, completion.stop_string) == ("ttttt", "length", None)


def test_the_end_of_text_token_ends_a_sample() -> None:
    sampler = make_sampler()
    ended = with_certain_token(sampler, sampler.tokenizer.specials[END_OF_TEXT])
    (completion,) = ended.complete(["to be"], SampleConfig(steps=10))
    assert (completion.text, completion.tokens, completion.stop_reason) == ("", (), "end_of_text")
    (piece,) = ended.stream(["to be"], SampleConfig(steps=10))
    assert piece.completion == completion


def test_logprobs_are_the_log_softmax_of_the_models_own_logits() -> None:
    sampler = make_sampler()
    config = SampleConfig(steps=12, temperature=1.7, top_k=3, repetition_penalty=1.5)
    (completion,) = sampler.complete(["to"], config, alternatives=4)
    prompt = sampler.tokenizer.encode("to")
    written: list[int] = []
    for token in completion.tokens:
        logprobs = log_softmax(full_forward(sampler, prompt, written))
        assert token.logprob == pytest.approx(logprobs[token.id])
        likeliest = np.argsort(-logprobs)[:4]
        assert [other for other, _ in token.alternatives] == list(likeliest)
        assert [logprob for _, logprob in token.alternatives] == pytest.approx(logprobs[likeliest])
        written.append(token.id)
    (plain,) = sampler.complete(["to"], config)
    assert [token.alternatives for token in plain.tokens] == [()] * len(plain.tokens)
    (everything,) = sampler.complete(["to"], config, alternatives=1000)
    assert len(everything.tokens[0].alternatives) == sampler.tokenizer.vocab_size


def test_the_repetition_penalty_counts_prompt_and_text() -> None:
    certain = with_certain_token(make_sampler(), CharTokenizer.train([TEXT]).encode("t")[0])
    (repeated,) = certain.complete(["be"], SampleConfig(steps=6, temperature=0))
    assert repeated.text == "tttttt"
    sampler = make_sampler(seed=3)
    free, penalized = (
        sampler.complete(["to"], SampleConfig(steps=40, temperature=0, repetition_penalty=penalty))[0].text
        for penalty in (1.0, 100.0)
    )
    assert len(set(penalized)) > len(set(free))


def test_an_empty_prompt_starts_a_new_document() -> None:
    sampler = make_sampler()
    (completion,) = sampler.complete([""], SampleConfig(steps=1, temperature=0.0))
    end = sampler.tokenizer.specials[END_OF_TEXT]
    assert ids(completion) == [int(np.argmax(full_forward(sampler, [end], [])))]


def test_an_empty_prompt_without_that_token_is_refused() -> None:
    class Bare(CharTokenizer):
        specials = {}  # type: ignore[assignment]  # noqa: RUF012

    sampler = make_sampler()
    bare = Sampler(sampler.model, sampler.backend, sampler.parameters, Bare.train([TEXT]))
    with pytest.raises(UsageError, match="an empty prompt needs a tokenizer with an end-of-text token"):
        bare.stream(["to", ""], SampleConfig())  # before anything is written


def test_no_prompts_are_no_samples() -> None:
    assert make_sampler().complete([], SampleConfig()) == []
