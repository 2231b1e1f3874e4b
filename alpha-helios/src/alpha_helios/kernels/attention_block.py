"""What the kernels of attention are given: a block of queries, which a workgroup has, and what it attends to."""

from typing import TypedDict

import attrs

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.attention_tile import Dropout, Heads, Rows, Scores
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.types import i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["Given", "QueryBlock"]


class Given(TypedDict):
    """The parameters that all of these kernels have: how tensors are stored, and which options there are."""

    out: str
    query: str
    key: str
    value: str
    soft_cap: bool
    dropout: bool
    whole: bool
    """See `Dropout`."""


@attrs.frozen
class QueryBlock:
    """Queries of one head of one sequence, its keys and values, and the place of the results."""

    first: Value
    """The first query."""
    queries: Value
    keys: Value
    head: Value
    query_rows: Rows
    key_rows: Rows
    value_rows: Rows
    out_rows: Rows
    log_sum_exp: Pointer
    """Of the head's first query."""
    scores: Scores
    drops: Dropout | None
    rows: int

    @classmethod
    def of(cls, k: Kernel, rows: int, given: Given) -> "QueryBlock":
        """Takes all arguments of a kernel whose workgroups have `rows` queries each; see `attention`.

        Workgroups beyond the last block end here. The last queries come first: they see the most keys.
        """
        target, log_sum_exp = elements(k, given["out"]), k.pointer()
        sources = [elements(k, stored, readonly=True) for stored in (given["query"], given["key"], given["value"])]
        step, sequences = (k.pointer(i32, readonly=True) for _ in range(2)) if given["dropout"] else (None, None)
        pairs, heads, queries, keys = (k.integer() for _ in range(4))
        query_heads, key_heads, value_heads, out_heads = (Heads.of(k, one) for one in (*sources, target))
        scores = Scores.of(k, given["soft_cap"])
        blocks = (queries + (rows - 1)) // rows
        index = linear_group(k)
        with k.if_(index >= pairs * blocks):
            k.return_()
        pair, first = index // blocks, (blocks - 1 - index % blocks) * rows
        batch, head = pair // heads, pair % heads
        drops = Dropout.of(k, given["whole"], sequences, step, batch)
        return cls(
            first,
            queries,
            keys,
            head,
            query_heads.rows(batch, head),
            key_heads.rows(batch, head),
            value_heads.rows(batch, head),
            out_heads.rows(batch, head),
            log_sum_exp + k.convert(pair, i64) * k.convert(queries, i64),
            scores,
            drops,
            rows,
        )

    @property
    def older(self) -> Value:
        """Keys that the first query of all sees beside that of its own place."""
        return self.keys - self.queries

    @property
    def stop(self) -> Value:
        """The first key that none of the block's queries sees."""
        k = self.first.kernel
        return k.minimum(self.first + self.rows, self.queries) + self.older

    def number(self, query: Value, key: Value) -> Value:
        """Returns the number of a weight, as `Dropout` counts them."""
        k = self.first.kernel
        row = k.convert(self.head * self.queries + query, i64)
        return row * k.convert(self.keys, i64) + k.convert(key, i64)
