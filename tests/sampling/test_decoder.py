"""Writing with a cache, on the device or with a look from the host after every token, is writing without one."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from tests.sampling.helpers import TEXT, full_forward, make_sampler

from alpha_core.backend import Backend
from alpha_core.config import ModelConfig, SampleConfig
from alpha_core.dtype import DType
from alpha_core.program import Program
from alpha_core.tokenizer import END_OF_TEXT
from alpha_model import GPT
from alpha_tensor import CpuRef
from alpha_tokenizers import CharTokenizer
from alpha_train.sampling import Completion, Sampler, batch
from alpha_train.sampling.context import extended_context, first_context
from alpha_train.sampling.distribution import draw, probabilities, uniforms

TOKENIZER = CharTokenizer.train([TEXT])
OPTIONS: dict[str, dict[str, Any]] = {
    "learned": {},
    "rotary": {"position": "rotary"},
    "tied": {"tie_embeddings": True},
    "qk_norm": {"qk_norm": True, "position": "rotary"},
    "soft_cap": {"soft_cap": 1.5},
    "everything": {
        "position": "rotary",
        "qk_norm": True,
        "soft_cap": 2.0,
        "norm": "rms",
        "bias": True,
        "activation": "swiglu",
        "tie_embeddings": True,
    },
}


END = TOKENIZER.specials[END_OF_TEXT]


def sampler_of(dtype: DType = DType.f64, seed: int = 0, block_size: int = 8, **options: Any) -> Sampler:
    """Returns a sampler of a model that seldom ends a text by itself."""
    settings = {"vocab_size": TOKENIZER.vocab_size, "block_size": block_size, "n_layer": 2, "n_embd": 16, "n_head": 2}
    model, backend = GPT(ModelConfig(**{**settings, **options})), CpuRef()
    generator = np.random.default_rng(seed)
    values = {
        name: value + 0.4 * generator.standard_normal(value.shape)
        for name, value in model.initial_parameters(0).items()
    }
    values[model.head_name][END] = 0
    parameters = {name: backend.upload(value, dtype) for name, value in values.items()}
    return Sampler(model, backend, parameters, TOKENIZER)


def ids(completion: Completion) -> list[int]:
    return [token.id for token in completion.tokens]


def written_without_cache(sampler: Sampler, prompt: str, config: SampleConfig, number: int = 0) -> list[int]:
    """Returns the tokens by the definition: each drawn from the logits of a full forward pass."""
    tokens, written = TOKENIZER.encode(prompt), list[int]()
    for position in range(config.steps):
        logits = full_forward(sampler, tokens, written).astype(np.float64)
        token = draw(probabilities(logits, config), config.sample_seed, position, number)
        if token == END:
            break
        written.append(token)
    return written


@pytest.mark.parametrize("block_size", [8, 7, 2, 1, 64])
@pytest.mark.parametrize("name", OPTIONS)
def test_greedy_tokens_are_those_of_the_full_forward_pass_at_all_lengths(name: str, block_size: int) -> None:
    sampler = sampler_of(block_size=block_size, **OPTIONS[name])
    config = SampleConfig(steps=30, temperature=0.0)
    prompts = ["t", "to be", "that is the question", "not"]
    completions = sampler.complete(prompts, config)
    for prompt, completion in zip(prompts, completions, strict=True):
        assert ids(completion) == written_without_cache(sampler, prompt, config)
    assert max(len(ids(completion)) for completion in completions) > 10


LIMITS = (
    {"temperature": 1.0, "top_k": 0},
    {"temperature": 0.7, "top_k": 5},
    {"temperature": 1.5, "top_k": 0, "top_p": 0.8},
    {"temperature": 1.2, "top_k": 12, "top_p": 0.9, "min_p": 0.05},
    {"temperature": 0.0},
)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("dtype", [DType.f64, DType.f32])
def test_draws_on_the_device_are_those_on_the_host(dtype: DType, limits: dict[str, Any]) -> None:
    sampler = sampler_of(dtype, position="rotary")
    for seed in range(4):
        config = SampleConfig(steps=25, num_samples=3, sample_seed=seed + 2**40, **limits)
        on_device = sampler.complete(["to", "be or not"], config)
        on_host = sampler.complete(["to", "be or not"], config, alternatives=1)
        for one, other in zip(on_device, on_host, strict=True):
            assert ids(one) == ids(other)
            assert (one.text, one.stop_reason) == (other.text, other.stop_reason)
            logprobs = [[token.logprob for token in completion.tokens] for completion in (one, other)]
            assert logprobs[0] == pytest.approx(logprobs[1], abs=1e-4 if dtype is DType.f32 else 1e-9)
        assert ids(on_device[1]) == written_without_cache(sampler, "to", config, number=1)


def test_a_random_number_is_a_function_of_seed_place_and_sample() -> None:
    table = uniforms(2**40 + 3, np.arange(5), np.array([0, 7, 2]))
    assert table.shape == (5, 3)
    assert ((table > 0) & (table < 1)).all()
    assert len(np.unique(table)) == table.size
    assert table[3, 1] == uniforms(2**40 + 3, np.array([3]), np.array([7]))[0, 0]
    assert table[3, 1] != uniforms(3, np.array([3]), np.array([7]))[0, 0]


class Recorder(CpuRef):
    """Notes which programs run how often."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[tuple[str, int]] = []

    def record(self, function: Any, example_inputs: Any, *, name: str, additive: bool = False) -> Program:
        program = super().record(function, example_inputs, name=name, additive=additive)
        run, repeat, runs = program._run, program._repeat, self.runs

        def noted_run(inputs: Sequence[Any]) -> Any:
            runs.append((name, 1))
            return run(inputs)

        def noted_repeat(times: int, inputs: Sequence[Any]) -> Any:
            result = repeat(times, inputs)
            del runs[-times:]
            runs.append((name, times))
            return result

        program._run, program._repeat = noted_run, noted_repeat  # type: ignore[method-assign]
        return program


def noted(sampler: Sampler) -> tuple[Sampler, list[tuple[str, int]]]:
    backend = Recorder()
    parameters = {name: backend.upload(sampler.backend.download(x)) for name, x in sampler.parameters.items()}
    return Sampler(sampler.model, backend, parameters, TOKENIZER), backend.runs


def never_ending(sampler: Sampler) -> Sampler:
    """Returns a sampler whose model never ends a text by itself: all other scores are much higher."""
    head = sampler.backend.download(sampler.parameters["lmHead"])
    parameters = {
        **sampler.parameters,
        "lmHead": sampler.backend.upload(head + 5.0 * (head != 0)),
        "lnF.bias": sampler.backend.upload(np.ones(head.shape[1])),
    }
    return Sampler(sampler.model, sampler.backend, parameters, TOKENIZER)


def test_tokens_are_written_in_bursts_that_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_QUICK", 1e9)
    sampler, runs = noted(never_ending(sampler_of(block_size=64)))
    (completion,) = sampler.complete(["to"], SampleConfig(steps=40, temperature=1.0))
    assert len(completion.tokens) == 40
    assert runs == [("encode", 1), *(("write", times) for times in (1, 2, 4, 8, 16, 9))]


def test_bursts_shrink_where_they_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_QUICK", -1.0)
    monkeypatch.setattr(batch, "_SLOW", 0.0)
    sampler, runs = noted(never_ending(sampler_of(block_size=64)))
    sampler.complete(["to"], SampleConfig(steps=5, temperature=1.0))
    assert runs == [("encode", 1), *[("write", 1)] * 5]


def test_a_full_block_is_encoded_anew_once_for_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_QUICK", 1e9)
    sampler, runs = noted(never_ending(sampler_of(block_size=16)))
    sampler.complete(["to"], SampleConfig(steps=64, temperature=1.0))
    assert sum(times for name, times in runs if name == "write") == 64
    assert sum(name == "encode" for name, _ in runs) == 1 + (64 - 15 - 1) // 8 + 1


def test_samples_of_one_prompt_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    prefill = GPT.prefill

    def noted_prefill(self: GPT, backend: Backend, parameters: Any, tokens: Any) -> Any:
        shapes.append(tokens.shape)
        return prefill(self, backend, parameters, tokens)

    monkeypatch.setattr(GPT, "prefill", noted_prefill)
    sampler_of(block_size=64).complete(["to be", "or"], SampleConfig(steps=3, num_samples=5))
    assert shapes == [(2, 8)]


def test_a_batch_that_has_mostly_ended_goes_on_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_WORTH_ANOTHER_BATCH", 0)
    sampler = sampler_of()
    config = SampleConfig(steps=30, temperature=1.4, top_k=0, num_samples=6, stop=("t", "o", " "))
    for alternatives in (0, 2):
        completions = sampler.complete(["to", "be or not"], config, alternatives=alternatives)
        assert len({len(ids(completion)) for completion in completions}) > 3  # they end at different places
        for number in (0, 4):
            assert (
                ids(completions[number])
                == written_without_cache(sampler, "to", config, number)[: len(ids(completions[number]))]
            )
        alone = sampler.complete(["be or not"], attrs.evolve(config, num_samples=1), alternatives=alternatives)
        assert (ids(alone[0]), alone[0].text) == (ids(completions[6]), completions[6].text)


def test_more_samples_than_fit_are_written_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SampleConfig(steps=12, temperature=1.2, num_samples=5)
    expected = sampler_of().complete(["to", "be or not"], config)
    monkeypatch.setattr("alpha_train.sampling.sampler.TOKENS_AT_ONCE", 24)
    monkeypatch.setattr("alpha_train.sampling.decoder.TOKENS_AT_ONCE", 8)
    got = sampler_of().complete(["to", "be or not"], config)
    assert [(ids(c), c.text, c.stop_reason) for c in got] == [(ids(c), c.text, c.stop_reason) for c in expected]


def test_two_streams_of_one_sampler_do_not_disturb_each_other() -> None:
    sampler = sampler_of()
    config = SampleConfig(steps=20, temperature=1.2)
    expected = [sampler.complete([prompt], config)[0] for prompt in ("to", "be")]
    streams = [sampler.stream([prompt], config) for prompt in ("to", "be")]
    ended: list[Completion | None] = [None, None]
    while None in ended:
        for index, stream in enumerate(streams):
            for piece in stream:
                ended[index] = piece.completion or ended[index]
                break
    assert ended == expected


def test_programs_are_recorded_once_for_batches_of_one_size() -> None:
    backend = Recorder()
    recorded = []
    record = backend.record

    def noting(function: Any, example_inputs: Any, *, name: str, additive: bool = False) -> Program:
        recorded.append(name)
        return record(function, example_inputs, name=name, additive=additive)

    backend.record = noting  # type: ignore[method-assign]
    plain = sampler_of()
    parameters = {name: backend.upload(plain.backend.download(x)) for name, x in plain.parameters.items()}
    sampler = Sampler(plain.model, backend, parameters, TOKENIZER)
    first = sampler.complete(["to"], SampleConfig(steps=30, temperature=0.9))
    count = len(recorded)
    assert sampler.complete(["to"], SampleConfig(steps=30, temperature=0.9)) == first
    assert len(recorded) == count


def test_weights_that_change_between_texts_are_read_anew() -> None:
    sampler = sampler_of()
    config = SampleConfig(steps=12, temperature=0.0)
    before = sampler.complete(["to"], config)
    other = sampler_of(seed=5)
    for name, tensor in sampler.parameters.items():
        sampler.backend.assign(tensor, other.parameters[name])
    after = sampler.complete(["to"], config)
    assert after == other.complete(["to"], config)
    assert after != before


def test_of_a_full_context_the_last_half_is_kept() -> None:
    context = first_context(range(100), 6)
    assert context == (94, 95, 96, 97, 98, 99)
    context = extended_context(context, 100, 6)
    assert context == (97, 98, 99, 100)
    for token in (101, 102):
        context = extended_context(context, token, 6)
    assert context == (97, 98, 99, 100, 101, 102)
    assert extended_context(context, 103, 6) == (100, 101, 102, 103)
    assert extended_context((1, 2, 3, 4, 5), 6, 5) == (4, 5, 6)
    assert extended_context((1,), 2, 1) == (2,)


def test_helpers_sampler_writes_on_both_paths_alike() -> None:
    sampler = make_sampler(seed=4)
    config = SampleConfig(steps=40, temperature=1.3, top_p=0.95)
    assert sampler.complete(["to be"], config)[0].text == sampler.complete(["to be"], config, alternatives=2)[0].text
