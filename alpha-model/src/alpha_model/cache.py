"""What a model keeps of the tokens that it has seen, so that the next one costs no more than one token."""

from collections.abc import Sequence

import attrs

from alpha_core.backend import Backend
from alpha_core.tensor import Tensor

__all__ = ["KeyValueCache", "KeysAndValues"]

KeysAndValues = tuple[Tensor, Tensor]


@attrs.frozen(eq=False)
class KeyValueCache:
    """Keys (after rotation) and values of up to C tokens of each of B sequences. `GPT.new_cache` makes it.

    `GPT.prefill` computes what many tokens leave in it, `GPT.decode` adds one token of each sequence.
    """

    layers: Sequence[KeysAndValues]
    """(B, H, C, D) each."""
    rotary: tuple[Tensor, Tensor] | None
    """Cosines and sines of each position, (C, D/2) each; None without rotary positions."""

    @property
    def rows(self) -> int:
        """The number of sequences, B."""
        return self.layers[0][0].shape[0]

    @property
    def capacity(self) -> int:
        """The number of tokens that one sequence can have, C."""
        return self.layers[0][0].shape[2]

    def place(self, backend: Backend, prefilled: Sequence[KeysAndValues], rows: Tensor) -> None:
        """Gives sequences new contents: those of N others, of T <= C tokens, that `prefill` has computed.

        rows (B,) i32: b leaves a sequence as it is if it is that of the cache's row b, and B + n takes the new row n;
        one new row may go to several sequences.
        """
        for kept, new in zip(self.layers, prefilled, strict=True):
            for cache, part in zip(kept, new, strict=True):
                padded = backend.slice_grad(part, 2, 0, self.capacity)  # zeros where nothing is yet
                both = backend.cat([cache, padded], 0)
                flat = backend.reshape(both, (both.shape[0], cache.size // self.rows))
                backend.assign(cache, backend.reshape(backend.embedding(flat, rows), cache.shape))
