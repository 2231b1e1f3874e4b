"""Measuring a trained model on text."""

import math
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from alpha_core.errors import DataError
from alpha_core.tensor import Tensor
from alpha_train.data import IGNORED, Progress, evaluation_batches, prepare
from alpha_train.data.text_size import bytes_per_token
from alpha_train.inference import LoadedRun
from alpha_train.run_data import data_of_run

__all__ = ["Evaluation", "evaluate_run"]


@attrs.frozen(kw_only=True)
class Evaluation:
    """How well a model predicts a text."""

    text: str
    """What was measured, in words."""
    step: int
    """The checkpoint's."""
    tokens: int
    """Number of tokens that were predicted."""
    loss: float
    """Mean negative log-likelihood, in nats per token."""
    bytes_per_token: float

    @property
    def perplexity(self) -> float:
        """exp(loss)."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def bits_per_byte(self) -> float:
        """loss / ln 2 / bytes per token: comparable between tokenizers."""
        return self.loss / math.log(2) / self.bytes_per_token

    def to_json(self) -> dict[str, Any]:
        """Returns the figures under the names of the run files; null for one that is not finite."""
        figures = {"loss": self.loss, "perplexity": self.perplexity, "bitsPerByte": self.bits_per_byte}
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        return {"step": self.step, "tokens": self.tokens, **finite}


def evaluate_run(
    run: LoadedRun,
    *,
    data: str | None = None,
    batches: int = 0,
    note: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda activity, done, total: None,
) -> Evaluation:
    """Measures a model on the validation text of its run, or on all of `data`.

    Of token shards with some for validation, these are taken. Only what counts in the loss does so here.

    Every token but the first is predicted once, from at most `block_size` tokens before it; `batches` above 0 takes so
    many batches of windows instead, spread over the text. Raises `DataError` for text that is missing or too short.
    """
    config = run.config.train
    if data is None:
        dataset = data_of_run(config, run.checkpoint, run.tokenizer, note=note, progress=progress)
        split, text = dataset.validation, "validation text"
    else:
        dataset = prepare(data, run.tokenizer, validation_fraction=0.0, text_key=config.text_key, progress=progress)
        split = dataset.validation if len(dataset.validation.tokens) else dataset.train
        text = f"`{data}`"
    model, backend = run.model, run.backend
    shape = (config.batch_size, model.config.block_size)

    def summed_loss(tokens: Tensor, targets: Tensor) -> list[Tensor]:
        return [backend.sum(model.losses(backend, run.parameters, tokens, targets))]

    example = np.zeros(shape, np.int32)
    program = backend.record(summed_loss, (example, example), name="evaluate", additive=True)
    total, count = 0.0, 0
    windows = evaluation_batches(split.tokens, mask=split.mask, block_size=shape[1], batch_size=shape[0], limit=batches)
    for batch in windows:
        (loss,) = program(batch.tokens, batch.targets)
        total += float(backend.download(loss))
        count += int(np.count_nonzero(batch.targets != IGNORED))
        progress("evaluating", count, split.loss_tokens)
    if count == 0:
        raise DataError(f"no token of {text} counts in the loss", hint="take more of it: `--batches=0`")
    token_size = split.bytes_per_token
    if math.isnan(token_size):
        token_size = bytes_per_token(split.tokens, run.tokenizer)
    return Evaluation(text=text, step=run.step, tokens=count, loss=total / count, bytes_per_token=token_size)
