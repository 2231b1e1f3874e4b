"""The suite `infer`: reading a prompt and writing tokens, alone and in a batch, greedily."""

import math
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Self

from alpha_bench.case import Case, Suite, Work
from alpha_bench.session import Session
from alpha_bench.suites.models import MODELS, QUICK_MODELS, BenchModel
from alpha_core.config import SampleConfig
from alpha_core.dtype import DType
from alpha_core.errors import AlphaError
from alpha_core.tokenizer import Tokenizer
from alpha_model.weights import WEIGHT_FORMATS, upload_parameters
from alpha_train.flops import flops_per_token
from alpha_train.sampling import Sampler

__all__ = ["SUITE", "IdTokenizer"]

_WEIGHT_BYTES = {"f32": 4, "bf16": 2, "int8": 1}
_MODELS = ("6x256", "gpt2-124m")
_ROWS = 8
_FIRST_CHARACTER = 0x10000  # a plane of Unicode without surrogates, with room for every id


class IdTokenizer(Tokenizer):
    """One character for each id, so that prompts have a known number of tokens."""

    type = "bench-ids"

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def specials(self) -> dict[str, int]:
        return {}

    def encode(self, text: str) -> list[int]:
        return [ord(character) - _FIRST_CHARACTER for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(_FIRST_CHARACTER + id) for id in ids)

    def to_artifacts(self) -> dict[str, Any]:
        return {"type": self.type, "vocabSize": self._vocab_size}

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        return cls(int(artifacts["vocabSize"]))

    @classmethod
    def train(cls, texts: Any, *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> Self:
        return cls(vocab_size or 256)


def cases(session: Session) -> list[Case]:
    models = list(QUICK_MODELS.values()) if session.quick else [MODELS[name] for name in _MODELS]
    return [
        case
        for model in models
        for weights in WEIGHT_FORMATS
        for case in (_prefill(model, weights), _decode(model, weights, rows=1), _decode(model, weights, rows=_ROWS))
    ]


def _prefill(model: BenchModel, weights: str) -> Case:
    length = model.config.block_size - 1

    def prepare(session: Session) -> Work:
        sampler = _sampler(session, model, weights)
        starts = count()  # a prompt that was read before may still be in the cache

        def run(times: int) -> None:
            for _ in range(times):
                start = next(starts)
                ids = [(start + place) % model.config.vocab_size for place in range(length)]
                _write(sampler, [sampler.tokenizer.decode(ids)], 1)

        forward = flops_per_token(model.config, sampler.model.parameter_specs).forward
        return Work(run=run, work={"tokens": length}, flops=float(forward * length))

    return _case(model, weights, "prefill", {"prompt": length, "steps": 1, "rows": 1}, prepare)


def _decode(model: BenchModel, weights: str, *, rows: int) -> Case:
    steps = model.config.block_size - 1

    def prepare(session: Session) -> Work:
        sampler = _sampler(session, model, weights)
        prompts = [sampler.tokenizer.decode([row % model.config.vocab_size]) for row in range(rows)]

        def run(times: int) -> None:
            for _ in range(times):
                _write(sampler, prompts, steps)

        forward = flops_per_token(model.config, sampler.model.parameter_specs).forward
        return Work(
            run=run,
            work={"tokens": rows * steps},
            flops=float(forward * rows * steps),
            bytes=_decode_bytes(model, weights, rows, steps),
        )

    return _case(model, weights, f"decode-{rows}", {"prompt": 1, "steps": steps, "rows": rows}, prepare)


def _decode_bytes(model: BenchModel, weights: str, rows: int, steps: int) -> float:
    """Bytes that writing `steps` tokens must read: every weight once a token for all rows, and each row's cache."""
    config = model.config
    matrices = sum(math.prod(spec.shape) for spec in model.gpt().parameter_specs if spec.kind == "matrix")
    read = (matrices + config.vocab_size * config.n_embd) * _WEIGHT_BYTES[weights] * steps
    cache = 2 * config.n_layer * config.n_embd * DType.f32.itemsize * rows * steps * (steps + 1) / 2
    return float(read + cache)


def _write(sampler: Sampler, prompts: Sequence[str], steps: int) -> None:
    completions = sampler.complete(prompts, SampleConfig(steps=steps, temperature=0.0))
    written = [len(completion.tokens) for completion in completions]
    if written != [steps] * len(prompts):
        raise AlphaError(f"sampling wrote {written} tokens, not {steps} for each of {len(prompts)} prompts")


def _case(
    model: BenchModel, weights: str, kind: str, sizes: dict[str, int], prepare: Callable[[Session], Work]
) -> Case:
    return Case(
        suite="infer",
        id=f"{model.name}-{kind}-{weights}",
        parameters={**model.parameters, **sizes, "weights": weights, "precision": "f32"},
        prepare=prepare,
        alone=True,
    )


def _sampler(session: Session, model: BenchModel, weights: str) -> Sampler:
    """Returns a sampler of the untrained model; what the weights are does not matter to the time of greedy sampling."""
    session.multiply_in("f32")
    gpt, backend = model.gpt(), session.backend
    values = gpt.initial_parameters(0)
    parameters = upload_parameters(backend, gpt.parameter_specs, values, DType.f32, weights, head=gpt.head_name)
    return Sampler(gpt, backend, parameters, IdTokenizer(model.config.vocab_size))


SUITE = Suite(name="infer", summary="reading a prompt and writing tokens", cases=cases)
