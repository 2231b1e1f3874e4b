"""What is measured: the cases of every suite. Both sides get the same parameters."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from alpha_bench.suites.models import MODELS, BenchModel
from alpha_core.config import ModelConfig

__all__ = ["ATTENTION", "DECODING", "NANOGPT_FLAGS", "Case", "attention_cases", "decoding_cases", "train_cases"]

_SIZES = ("n_layer", "n_embd", "n_head", "block_size", "vocab_size", "bias")


@attrs.frozen(kw_only=True)
class Case:
    """One piece of work, to be done by everyone who takes part."""

    suite: str
    id: str
    parameters: Mapping[str, Any]
    work: Mapping[str, float]
    """Amounts done in one repetition, by unit."""
    repetitions: int = 3
    """Least number of them in a round."""
    seconds: float | None = None
    """Least time of a round, where it is not the usual one."""
    expected: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    """Facts that show that the work was done: value, and how far from it one may be."""
    task: str | None = None
    """What workers call it, if not by the name of the suite."""
    files: Mapping[str, str] = attrs.field(factory=dict)
    """Paths that workers are told and that no result holds."""

    @property
    def told(self) -> dict[str, Any]:
        """What workers are told."""
        return {"task": self.task or self.suite, **self.parameters, **self.files}


ATTENTION = {
    "16x8x256x32": (16, 8, 256, 32),
    "8x6x256x64": (8, 6, 256, 64),
    "4x12x256x64": (4, 12, 256, 64),
    "1x12x1024x64": (1, 12, 1024, 64),
}
"""Sequences x heads x tokens x width of a head."""

DECODING = {"6x256": 240, "gpt2-124m": 64}
"""How many tokens each model writes."""
PROMPT = 16
"""Tokens before them; all fit into the context."""

NANOGPT_FLAGS = {
    "n-layer": 4,
    "n-head": 4,
    "n-embd": 128,
    "block-size": 64,
    "batch-size": 12,
    "iters": 2000,
    "lr": 3e-3,
    "warmup": 100,
    "beta2": 0.99,
    "eval-interval": 250,
    "eval-iters": 20,
}
"""nanoGPT's run on a CPU, as `docs/benchmarks.md` has it."""


def train_cases(
    suite: str, precisions: Sequence[str], models: Iterable[BenchModel] = tuple(MODELS.values())
) -> list[Case]:
    """Returns a training step of each model in each precision. Before the first step a model knows nothing: ln(V)."""
    return [
        Case(
            suite=suite,
            task="train",
            id=f"{model.name}-{precision}",
            parameters={**_sizes(model.config), "batch_size": model.batch_size, "precision": precision},
            work={"tokens": model.tokens},
            repetitions=1 if model.name == "gpt2-124m" else 3,
            expected={"first_loss": (math.log(model.config.vocab_size), 0.5)},
        )
        for model in models
        for precision in precisions
    ]


def decoding_cases(precisions: Sequence[str], steps: Mapping[str, int] = DECODING) -> list[Case]:
    """Returns the writing of a text by each model, for one sequence, with weights of each precision."""
    cases = []
    for name, count in steps.items():
        specs = MODELS[name].gpt().parameter_specs
        for precision in precisions:
            weight_bytes = sum(math.prod(spec.shape) for spec in specs) * (4 if precision == "f32" else 2)
            sizes = {**_sizes(MODELS[name].config), "prompt": PROMPT, "steps": count}
            cases.append(
                Case(
                    suite="decode",
                    id=f"{name}-{precision}",
                    parameters={**sizes, "precision": precision, "weight_bytes": weight_bytes},
                    work={"tokens": count, "weight_bytes": count * weight_bytes},
                    repetitions=2,
                )
            )
    return cases


def _sizes(config: ModelConfig) -> dict[str, int]:
    return {name: getattr(config, name) for name in _SIZES}


def attention_cases() -> list[Case]:
    """Returns the forward and backward passes of each shape, in f32."""
    names = ("batch_size", "n_head", "block_size", "head_width")
    return [
        Case(
            suite="attention",
            id=name,
            parameters=dict(zip(names, shape, strict=True)),
            work={"tokens": shape[0] * shape[2]},
        )
        for name, shape in ATTENTION.items()
    ]
