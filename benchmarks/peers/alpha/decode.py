"""Greedy decoding by `Sampler`, with a tokenizer that does next to nothing."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from alpha_core.config import SampleConfig
from alpha_core.dtype import DType
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT
from alpha_model.weights import upload_parameters
from alpha_train import Sampler
from benchmarks.peers.alpha.setup import open_backend
from benchmarks.peers.alpha.train import model_config
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]


class NumberTokenizer(Tokenizer):
    """Text is the numbers of its tokens."""

    type: ClassVar[str] = "number"

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def specials(self) -> dict[str, int]:
        return {}

    def encode(self, text: str) -> list[int]:
        return [int(number) for number in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(f"{i} " for i in ids)

    def to_artifacts(self) -> dict[str, Any]:
        return {"type": self.type, "vocab_size": self._vocab_size}

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        return cls(artifacts["vocab_size"])

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> Self:
        return cls(vocab_size or 1)


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `backend`. The case has `prompt` and `steps`, in tokens; each run decodes from the prompt on.

    The precision is that of the weights, as in `alpha sample --weights=bf16`.
    """
    facts: dict[str, Any] = {}
    backend = open_backend(settings["backend"], facts)
    model = GPT(model_config(case))
    values = model.initial_parameters(0)
    parameters = upload_parameters(
        backend, model.parameter_specs, values, DType.f32, case["precision"], head=model.head_name
    )
    sampler = Sampler(model, backend, parameters, NumberTokenizer(case["vocab_size"]))
    ids: list[int] = np.random.default_rng(0).integers(0, case["vocab_size"], (case["prompt"],)).tolist()
    prompt = sampler.tokenizer.decode(ids)
    config = SampleConfig(steps=case["steps"], temperature=0.0, top_k=0)

    def run() -> None:
        (completion,) = sampler.complete([prompt], config)
        facts["last_token"] = completion.tokens[-1].id

    run()
    return Prepared(run, facts)
