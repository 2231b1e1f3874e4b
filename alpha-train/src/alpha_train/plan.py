"""What a training run will need, from its configuration alone: parameters, memory, work, data, time, and warnings.

```python
outline = plan(RunConfig(), Activation.builtin("gelu"), AdamW(TrainConfig()), text=TextFigures(tokens=1_000_000))
print(outline.memory.peak, outline.passes)
```
"""

import math
from typing import Any

import attrs

from alpha_core.backend import Backend
from alpha_core.config import RunConfig
from alpha_core.optimizer import Optimizer
from alpha_model.activation import Activation
from alpha_model.parameters import parameter_specs
from alpha_train.data import Dataset
from alpha_train.flops import Flops, flops_per_token
from alpha_train.memory import Memory, training_memory
from alpha_train.planned_memory import PlannedMemory, planned_memory

__all__ = ["Plan", "TextFigures", "plan"]


@attrs.frozen(kw_only=True)
class TextFigures:
    """What is known of the training text."""

    tokens: int
    """In the training split."""
    validation_tokens: int | None = None
    documents: int | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> "TextFigures":
        starts = dataset.train.document_starts
        return cls(
            tokens=len(dataset.train.tokens),
            validation_tokens=len(dataset.validation.tokens),
            documents=len(starts) if starts is not None else None,
        )

    def to_json(self) -> dict[str, int | None]:
        return {"tokens": self.tokens, "validationTokens": self.validation_tokens, "documents": self.documents}


@attrs.frozen(kw_only=True)
class Plan:
    """The figures of a run that has not started. `None` is what cannot be known: text not read, speed not given."""

    config: RunConfig
    parameters: dict[str, int]
    """By kind: `embedding`, `matrix`, `vector`."""
    memory: Memory
    """As the reference backend needs it."""
    flops: Flops
    """For each token."""
    text: TextFigures | None = None
    tokens_per_second: float | None = None
    planned: PlannedMemory | None = None
    """As the backend of the run planned it, if it plans."""

    @property
    def parameter_count(self) -> int:
        return sum(self.parameters.values())

    @property
    def peak_bytes(self) -> int:
        """The most memory at once: as planned, or else as estimated for the reference backend."""
        return self.planned.peak if self.planned is not None else self.memory.peak

    @property
    def tokens_per_step(self) -> int:
        train = self.config.train
        return train.batch_size * train.accum_steps * self.config.model.block_size

    @property
    def tokens(self) -> int:
        """Tokens that the run trains on, counted as often as it sees them."""
        return self.tokens_per_step * self.config.train.iters

    @property
    def tokens_per_parameter(self) -> float:
        """About 20 gives the lowest loss for the compute (Hoffmann et al. 2022, "Chinchilla")."""
        return self.tokens / self.parameter_count

    @property
    def passes(self) -> float | None:
        """How often the run goes through its text."""
        return self.tokens / self.text.tokens if self.text is not None and self.text.tokens else None

    @property
    def seconds(self) -> float | None:
        """Duration of the steps alone, without evaluations, samples and checkpoints."""
        return self.tokens / self.tokens_per_second if self.tokens_per_second else None

    def to_json(self) -> dict[str, Any]:
        """Returns all figures; bytes, FLOPs and seconds."""
        training = self.flops.training
        return {
            "parameters": {**self.parameters, "total": self.parameter_count},
            "memoryBytes": {**attrs.asdict(self.memory), "peak": self.memory.peak},
            "plannedMemoryBytes": self.planned.to_json() if self.planned is not None else None,
            "flops": {
                "forwardPerToken": self.flops.forward,
                "trainingPerToken": training,
                "executedPerToken": self.flops.executed(recompute=self.config.train.activation_checkpointing),
                "perStep": training * self.tokens_per_step,
                "perRun": training * self.tokens,
            },
            "tokensPerStep": self.tokens_per_step,
            "tokens": self.tokens,
            "tokensPerParameter": self.tokens_per_parameter,
            "text": self.text.to_json() if self.text is not None else None,
            "passes": self.passes,
            "seconds": self.seconds,
        }


def plan(
    config: RunConfig,
    activation: Activation,
    optimizer: Optimizer,
    *,
    text: TextFigures | None = None,
    tokens_per_second: float | None = None,
    backend: Backend | None = None,
) -> Plan:
    """Returns the figures of a run. The vocabulary is `config.model.vocab_size`, so set it to the tokenizer's first.

    With a backend, its own plan of the memory is among them, if it makes one.
    """
    specs = parameter_specs(config.model, activation)
    parameters = dict.fromkeys(("embedding", "matrix", "vector"), 0)
    for spec in specs:
        parameters[spec.kind] += math.prod(spec.shape)
    memory = training_memory(config.model, config.train, specs, optimizer, gated=activation.gated)
    return Plan(
        config=config,
        parameters=parameters,
        memory=memory,
        planned=None if backend is None else planned_memory(config, activation, optimizer, memory, backend),
        flops=flops_per_token(config.model, specs),
        text=text,
        tokens_per_second=tokens_per_second,
    )
