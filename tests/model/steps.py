"""The training step of small GPTs with odd sizes, to run it called or recorded, on any backend."""

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
from tests.model.options import OPTIONS

from alpha_autograd import Tape
from alpha_core.backend import Backend
from alpha_core.config import ModelConfig
from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from alpha_model import GPT, Randomness

__all__ = ["BLOCK", "MODELS", "VOCABULARY", "TrainingStep", "make_batch", "make_model", "make_parameters"]

VOCABULARY, BLOCK = 67, 19
MODELS = list(OPTIONS)

Array = npt.NDArray[np.float64]
Batch = tuple[npt.NDArray[np.int32], ...]


def make_model(name: str = "plain", **others: object) -> GPT:
    """Returns a model with an option of `tests.model.options`: no length in it is a multiple of a register's."""
    sizes = {"vocab_size": VOCABULARY, "block_size": BLOCK, "n_layer": 2, "n_embd": 36, "n_head": 3}
    return GPT(ModelConfig(**{**sizes, **OPTIONS[name], **others}))  # type: ignore[arg-type]


def make_parameters(model: GPT) -> dict[str, Array]:
    """Returns values that f32 holds exactly, twice as large as an initialization, with nothing at 0 or 1."""
    generator = np.random.default_rng(0)
    values = {name: value + 0.05 * generator.standard_normal(value.shape) for name, value in initial(model).items()}
    return {name: value.astype(np.float32).astype(np.float64) for name, value in values.items()}


def initial(model: GPT) -> dict[str, Array]:
    return model.initial_parameters(0)


def make_batch(rows: int, seed: int = 0, block: int = BLOCK) -> Batch:
    """Returns tokens, targets (some of which do not count) and the indices of the rows."""
    generator = np.random.default_rng(seed)
    tokens, targets = (generator.integers(0, VOCABULARY, (rows, block)).astype(np.int32) for _ in range(2))
    targets[0, : 1 + block // 5] = -1
    return tokens, targets, np.arange(rows, dtype=np.int32)


@attrs.frozen(eq=False)
class TrainingStep:
    """Adds the gradients of the summed loss, which it returns, to tensors of its own."""

    backend: Backend
    model: GPT
    parameters: dict[str, Tensor]
    gradients: dict[str, Tensor]
    recompute: bool = False

    @classmethod
    def of(cls, backend: Backend, model: GPT, dtype: DType = DType.f32, *, recompute: bool = False) -> "TrainingStep":
        values = make_parameters(model)
        parameters = {name: backend.upload(value, dtype) for name, value in values.items()}
        gradients = {name: backend.zeros(value.shape, dtype) for name, value in values.items()}
        return cls(backend, model, parameters, gradients, recompute)

    def __call__(self, tokens: Tensor, targets: Tensor, rows: Tensor) -> Sequence[Tensor]:
        tape = Tape(self.backend)
        tape.watch(*self.parameters.values())
        random = None
        if self.model.config.dropout:
            random = Randomness(5, self.backend.full((), 2, DType.i32), rows)
        losses = self.model.losses(tape, self.parameters, tokens, targets, random, recompute=self.recompute)
        tape.accumulate(losses, {self.parameters[name]: total for name, total in self.gradients.items()})
        return [self.backend.sum(losses)]

    def called(self, batch: Batch) -> dict[str, npt.NDArray[np.generic]]:
        """Calls the step; returns the loss and what the gradients are now."""
        return self._results(self(*map(self.backend.upload, batch)))

    def recorded(self, batch: Batch, times: int = 1) -> dict[str, npt.NDArray[np.generic]]:
        """Records the step and runs it; returns the loss and what the gradients are now."""
        program = self.backend.record(self, batch, name="accumulate", additive=True)
        for _ in range(times):
            outputs = program(*batch)
        return self._results(outputs)

    def _results(self, outputs: Sequence[Tensor]) -> dict[str, npt.NDArray[np.generic]]:
        found = {name: self.backend.download(gradient) for name, gradient in self.gradients.items()}
        return {"loss": self.backend.download(outputs[0]), **found}
