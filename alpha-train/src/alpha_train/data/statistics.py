"""Figures about a dataset: documents, characters, bytes, tokens, and which tokens are common."""

from functools import partial
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.tokenizer import Tokenizer
from alpha_train.data.dataset import Dataset
from alpha_train.data.progress import Progress, no_progress
from alpha_train.data.text_size import text_size
from alpha_train.data.token_ids import blocks_of
from alpha_train.data.token_store import TokenSplit

__all__ = ["CommonToken", "SplitStatistics", "Statistics", "statistics"]


@attrs.frozen(kw_only=True)
class SplitStatistics:
    """Figures about one split, or about both."""

    documents: int | None
    """None if nothing marks where documents end."""
    characters: int
    bytes: int
    """Of the text as UTF-8, without the specials after documents."""
    tokens: int
    loss_tokens: int
    """Tokens that count in the loss."""

    @property
    def bytes_per_token(self) -> float | None:
        return self.bytes / self.tokens if self.tokens else None

    def to_json(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "characters": self.characters,
            "bytes": self.bytes,
            "tokens": self.tokens,
            "lossTokens": self.loss_tokens,
            "bytesPerToken": self.bytes_per_token,
        }


@attrs.frozen(kw_only=True)
class CommonToken:
    """A token, its text and how often it occurs."""

    id: int
    text: str
    count: int


@attrs.frozen(kw_only=True)
class Statistics:
    """Figures about a dataset."""

    train: SplitStatistics
    validation: SplitStatistics
    total: SplitStatistics
    tokenizer: str
    """Its type."""
    vocab_size: int
    used_tokens: int
    """How many ids of the vocabulary occur."""
    most_common: tuple[CommonToken, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as `alpha data stats --json` prints them."""
        return {
            "train": self.train.to_json(),
            "validation": self.validation.to_json(),
            "total": self.total.to_json(),
            "tokenizer": {"type": self.tokenizer, "vocabSize": self.vocab_size, "used": self.used_tokens},
            "mostCommon": [attrs.asdict(token) for token in self.most_common],
        }


def statistics(dataset: Dataset, *, common: int = 10, progress: Progress = no_progress) -> Statistics:
    """Counts what a dataset holds; `common` is how many of the most common tokens are named.

    Of token shards that do not tell how much text they hold, all tokens are decoded to find out.
    """
    tokenizer = dataset.tokenizer
    train_counts, validation_counts = (_counts(split, tokenizer) for split in (dataset.train, dataset.validation))
    train = _split_statistics(dataset.train, train_counts, tokenizer, progress)
    validation = _split_statistics(dataset.validation, validation_counts, tokenizer, progress)
    counts = train_counts + validation_counts
    order = np.argsort(-counts, kind="stable")[:common].tolist()
    return Statistics(
        train=train,
        validation=validation,
        total=_sum(train, validation),
        tokenizer=tokenizer.type,
        vocab_size=tokenizer.vocab_size,
        used_tokens=int(np.count_nonzero(counts)),
        most_common=tuple(
            CommonToken(id=token, text=tokenizer.decode([token]), count=int(counts[token]))
            for token in order
            if counts[token]
        ),
    )


def _counts(split: TokenSplit, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    for block in blocks_of(split.tokens):
        counts += np.bincount(block, minlength=len(counts))
    return counts


def _split_statistics(
    split: TokenSplit, counts: npt.NDArray[np.int64], tokenizer: Tokenizer, progress: Progress
) -> SplitStatistics:
    text_bytes, characters = split.text_bytes, split.characters
    if text_bytes is None or characters is None:
        text_bytes, characters = text_size(split.tokens, tokenizer, partial(_report, progress, len(split.tokens)))
    if split.document_starts is not None:
        documents: int | None = len(split.document_starts)
    else:
        documents = int(counts[tokenizer.end_of_text]) if tokenizer.end_of_text is not None else None
    return SplitStatistics(
        documents=documents,
        characters=characters,
        bytes=text_bytes,
        tokens=len(split.tokens),
        loss_tokens=split.loss_tokens,
    )


def _report(progress: Progress, total: int, done: int) -> None:
    progress("decoding tokens", done, total)


def _sum(one: SplitStatistics, other: SplitStatistics) -> SplitStatistics:
    return SplitStatistics(
        documents=one.documents + (other.documents or 0) if one.documents is not None else None,
        characters=one.characters + other.characters,
        bytes=one.bytes + other.bytes,
        tokens=one.tokens + other.tokens,
        loss_tokens=one.loss_tokens + other.loss_tokens,
    )
