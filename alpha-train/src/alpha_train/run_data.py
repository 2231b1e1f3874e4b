"""The text of a run: read for the first time, or found again to resume or to evaluate it."""

from collections.abc import Callable

from alpha_core.config import TrainConfig
from alpha_core.errors import DataError
from alpha_core.plugins import Plugins
from alpha_core.tokenizer import Tokenizer
from alpha_train.checkpoint import Checkpoint
from alpha_train.data import Dataset, Progress, open_dataset, prepare
from alpha_train.data.source import STANDARD_INPUT
from alpha_train.run_tokenizer import tokenizer_for

__all__ = ["data_of_new_run", "data_of_run"]


def data_of_new_run(
    config: TrainConfig, plugins: Plugins, *, note: Callable[[str], None], progress: Progress
) -> Dataset:
    """Returns the tokens that a new run trains on: read, tokenized and cached, or found in the cache."""
    dataset = prepare(
        config.data,
        tokenizer_for(config.tokenizer, config.data, plugins),
        validation_fraction=config.validation_fraction,
        text_key=config.text_key,
        progress=progress,
    )
    for text in dataset.notes:
        note(text)
    return dataset


def data_of_run(
    config: TrainConfig,
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    *,
    note: Callable[[str], None],
    progress: Progress,
) -> Dataset:
    """Returns the tokens that the run was trained on: from the cache, or made again from its text.

    `note` is told if the text has changed since. Raises `DataError` if both are gone; standard input is always gone,
    and a model that was imported never had any.
    """
    if "content" not in checkpoint.extra:
        raise DataError(
            "the model was imported, and has no text of its own",
            hint="name one with `--data`; `alpha train --init-from=...` trains the model on",
        )
    try:
        return open_dataset(str(checkpoint.extra.get("dataset")), tokenizer)
    except DataError:
        if config.data == STANDARD_INPUT:
            raise
    dataset = prepare(
        config.data,
        tokenizer,
        validation_fraction=config.validation_fraction,
        text_key=config.text_key,
        progress=progress,
    )
    for text in dataset.notes:
        note(text)
    if dataset.content != checkpoint.extra.get("content"):
        note(f"the text `{config.data}` has changed since the run was trained on it")
    return dataset
