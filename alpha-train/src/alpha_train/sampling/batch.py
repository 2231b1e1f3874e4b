"""Texts that are written together."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping

import numpy as np

from alpha_core.config import SampleConfig
from alpha_train.sampling.completion import Piece, ScoredToken
from alpha_train.sampling.decoder import LONGEST_BURST, Decoder, check_finite
from alpha_train.sampling.distribution import draw, probabilities, uniforms
from alpha_train.sampling.draft import Draft

__all__ = ["write_together"]

_QUICK, _SLOW = 0.05, 0.2
"""Seconds: bursts that take less than the one grow, those that take more than the other shrink, for text is shown after
each; what a burst writes past the end of a text is lost."""

_WORTH_ANOTHER_BATCH = 32
"""So many tokens must be left to write before ended texts are taken out of the batch, for the others begin anew."""


def write_together(
    drafts: Mapping[int, Draft],
    config: SampleConfig,
    alternatives: int,
    decoder_for: Callable[[int], Decoder],
) -> Generator[Piece, None, Decoder]:
    """Yields pieces of all texts until the last one has ended; returns a decoder for as many others.

    Where nothing but limits of the distribution is asked for, tokens are drawn on the device, in bursts. A repetition
    penalty and the log-probabilities of other tokens need all scores on the host, after every token. `decoder_for`
    returns a decoder with a number of rows.
    """
    on_device = alternatives == 0 and config.repetition_penalty == 1
    decoder = decoder_for(len(drafts))
    batch = _Batch(drafts, decoder)
    burst, done = 1, 0
    while batch.drafts:
        left = config.steps - done
        if 2 * len(batch.drafts) <= batch.decoder.rows and left > _WORTH_ANOTHER_BATCH:
            batch = _Batch(batch.drafts, decoder_for(len(batch.drafts)))
        batch.encode()
        began = time.perf_counter()
        if on_device:
            written = batch.write(min(burst, left), done, config)
        else:
            written = batch.write_one(done, config, alternatives)
        done += len(next(iter(written.values())))
        seconds = time.perf_counter() - began
        if seconds < _QUICK:
            burst = min(2 * burst, LONGEST_BURST)
        elif seconds > _SLOW:
            burst = max(1, burst // 2)
        yield from batch.extend(written)
    return decoder


class _Batch:
    """Drafts that have not ended, by the index of their sample, and each one's row of a decoder."""

    def __init__(self, drafts: Mapping[int, Draft], decoder: Decoder) -> None:
        self.drafts = dict(drafts)
        self.decoder = decoder
        self._row = {index: row for row, index in enumerate(drafts)}
        self._unknown = set(drafts)
        """Those whose context the decoder does not have: new ones, and those that were full."""

    def encode(self) -> None:
        """Gives the decoder the contexts that it does not have."""
        self.decoder.place({self._row[index]: self.drafts[index].context for index in self._unknown})
        self._unknown.clear()

    def write(self, count: int, done: int, config: SampleConfig) -> dict[int, list[ScoredToken]]:
        """Draws up to `count` tokens for each text, fewer if a context is full before."""
        room = min(self.decoder.capacity - len(draft.context) for draft in self.drafts.values())
        count = min(count, room + 1)  # the last token is not read any more
        numbers = np.zeros(self.decoder.rows, np.int64)
        for index, draft in self.drafts.items():
            numbers[self._row[index]] = draft.number
        random = uniforms(config.sample_seed, done + np.arange(count), numbers)
        tokens, logprobs = self.decoder.write(random, *self._last_tokens(), config)
        written = {}
        for index in self.drafts:
            row = self._row[index]
            check_finite(logprobs[:, row])
            written[index] = [
                ScoredToken(id=token, logprob=logprob)
                for token, logprob in zip(tokens[:, row].tolist(), logprobs[:, row].tolist(), strict=True)
            ]
        return written

    def write_one(self, done: int, config: SampleConfig, alternatives: int) -> dict[int, list[ScoredToken]]:
        """Draws one token for each text, on the host."""
        scores = self.decoder.logits(*self._last_tokens())
        written = {}
        for index, draft in self.drafts.items():
            logits = scores[self._row[index]]
            check_finite(logits)
            token = draw(probabilities(logits, config, draft.context), config.sample_seed, done, draft.number)
            written[index] = [ScoredToken.of(token, logits, alternatives)]
        return written

    def extend(self, written: Mapping[int, list[ScoredToken]]) -> Iterator[Piece]:
        """Adds the tokens to the drafts, up to their ends, and yields the text that is certain now."""
        for index, tokens in written.items():
            before = self.drafts[index]
            after = before
            for token in tokens:
                after = after.after(token)
                if after.stop_reason is not None:
                    break
            completion = after.completion()
            if completion is not None:
                del self.drafts[index]
            else:
                self.drafts[index] = after
                if len(after.context) != len(before.context) + len(tokens):
                    self._unknown.add(index)
            if completion is not None or after.text != before.text:
                yield Piece(index=index, text=after.text[len(before.text) :], completion=completion)

    def _last_tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns what each row reads next, and where; rows that nobody needs are at position 0."""
        tokens, positions = (np.zeros(self.decoder.rows, np.int32) for _ in range(2))
        for index, draft in self.drafts.items():
            tokens[self._row[index]] = draft.context[-1]
            positions[self._row[index]] = len(draft.context) - 1
        return tokens, positions
