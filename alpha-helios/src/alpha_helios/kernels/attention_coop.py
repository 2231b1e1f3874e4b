"""Causal attention on cooperative matrices: factors of products in f16 or bf16, softmax and sums in f32.

See `attention` for the method.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Unpack

from alpha_helios.kernels.attention_block import Given, QueryBlock
from alpha_helios.kernels.attention_panel import GROUP, WORDS, Factors, Following, Panel, PanelTile, Strip, among
from alpha_helios.kernels.attention_tile import LEAST, LN2, power
from alpha_helios.kernels.math import log, reciprocal
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32
from alpha_helios.spirv.value import Value

__all__ = ["attention_coop"]

_SLACK = 4.0
"""As an exponent of 2, how far scores may exceed what they are compared with before the sums are scaled anew."""


def attention_coop(
    k: Kernel,
    *,
    tile: PanelTile,
    dtype: str,
    unrolled: bool,
    ahead: bool,
    width: int,
    lanes: int,
    **given: Unpack[Given],
) -> None:
    """Computes what `attention` does, with the same arguments; `lanes` is 8 or 1.

    Queries, keys, values and weights are rounded to `dtype`. `unrolled` asks the driver for code without loops within a
    block, which takes it long; with `ahead` the next keys and values are held in registers. Grid: a workgroup for each
    block of queries.

    Shared memory limits it: for each score it moves 12 bytes, and each subgroup reads all keys and values.
    """
    block = QueryBlock.of(k, tile.rows, given)
    step_words = tile.columns * tile.pitch(width)
    pool = k.shared(WORDS, tile.words(width, strips=1, kept=0))
    panels = [Panel(k, pool, place * step_words, tile.columns, tile, width, lanes) for place in range(2)]
    strip, factors = Strip(k, pool, 2 * step_words, tile), Factors.of(k, tile, dtype, unrolled=unrolled)
    questions = Panel(k, pool, 0, tile.rows, tile, width, lanes)
    questions.put(questions.fetch(block.query_rows, block.first, block.queries - 1, dtype))
    k.barrier()
    asked = factors.own(questions)
    met = block.key_rows, block.value_rows
    following = Following(k, panels, met, k.constant(i32, 0), block.keys - 1, dtype, ahead=ahead)
    own = block.first + k.subgroup_id * tile.strip_rows
    softmax = _Softmax(k, strip, block, [own + row for row in strip.rows])
    mixed = factors.sums(width)

    with k.range_(0, block.stop, tile.columns) as start:
        k.barrier()
        following.put(start)
        k.barrier()
        factors.multiply(asked, panels[0], strip)
        k.subgroup_barrier()
        weights, changes, anew = softmax.weights(start)
        k.subgroup_barrier()
        for row, groups in zip(strip.rows, weights, strict=True):
            strip.write(row, groups, dtype)
        with k.if_(anew):
            for row, change in zip(strip.rows, changes, strict=True):
                strip.spread(row, change)
        k.subgroup_barrier()  # in no branch: some devices have the whole workgroup wait here
        with k.if_(anew):
            strip.scale(mixed)
        factors.mix(strip, panels[1], mixed)

    k.subgroup_barrier()
    for row, i, total, logarithm in softmax.results():
        strip.spread(row, reciprocal(k, total))
        with k.if_((i < block.queries) & (strip.member == 0)):
            block.log_sum_exp[i] = logarithm
    k.subgroup_barrier()
    strip.scale(mixed)
    strip.copy(mixed, block.out_rows, own, block.queries, width, lanes)


class _Softmax:
    """The largest score so far of each row of an invocation, and the sum of the weights; see `attention`.

    What scores are compared with lags behind the largest by up to `_SLACK`, so that sums are seldom scaled anew.
    """

    def __init__(self, k: Kernel, strip: Strip, block: QueryBlock, rows: Sequence[Value]) -> None:
        self._k, self._strip, self._block, self._rows, self._older = k, strip, block, rows, block.older
        self._largest = [k.variable(LEAST, f32) for _ in rows]
        self._totals = [k.variable(0.0, f32) for _ in rows]

    def weights(self, start: Value) -> tuple[list[list[list[Value]]], list[Value], Value]:
        """Reads the scores of keys from `start` on. Returns the weights, by row and group, what the sums of each row
        are to be multiplied with, and whether any of the subgroup's are."""
        k, weights, changes, moves = self._k, [], [], []
        for n, row in enumerate(self._strip.rows):
            scores = self._row_scores(start, n, row)
            top = among(
                k, self._strip.members, k.maximum, reduce(k.maximum, (one for group in scores for one in group))
            )
            before = self._largest[n].value
            moved = top > before + _SLACK
            now = k.select(moved, top, before)
            change = power(k, before - now)
            groups = [[power(k, one - now) for one in group] for group in scores]
            self._largest[n].value = now
            self._totals[n].value = reduce(
                lambda a, b: a + b, (one for group in groups for one in group), self._totals[n].value * change
            )
            weights.append([self._dropped(start, n, place, group) for place, group in enumerate(groups)])
            changes.append(change)
            moves.append(moved)
        return weights, changes, k.subgroup_any(reduce(lambda a, b: a | b, moves))

    def results(self) -> Iterator[tuple[Value, Value, Value, Value]]:
        """Gives each row, its query, the sum of its weights, and log_sum_exp."""
        k, strip = self._k, self._strip
        for row, i, largest, total in zip(strip.rows, self._rows, self._largest, self._totals, strict=True):
            whole = among(k, strip.members, lambda a, b: a + b, total.value)
            yield row, i, whole, k.fma(largest.value, LN2, log(k, whole))

    def _row_scores(self, start: Value, n: int, row: Value) -> list[list[Value]]:
        """Returns the scores of a row by group, -inf where a key is not visible."""
        k, scores = self._k, []
        for group, numbers in zip(self._strip.groups, self._strip.numbers(row), strict=True):
            visible = self._rows[n] + self._older - (start + group * GROUP)  # the last one of the group
            capped = [self._block.scores.score(k, number)[0] for number in numbers]
            scores.append([k.select(visible >= c, one, float("-inf")) for c, one in enumerate(capped)])
        return scores

    def _dropped(self, start: Value, n: int, place: int, group: list[Value]) -> list[Value]:
        """Returns the weights of a group after dropout."""
        drops = self._block.drops
        if drops is None:
            return group
        number = self._block.number(self._rows[n], start + self._strip.groups[place] * GROUP)
        masks = [mask for half in (0, 4) for mask in drops.masks(self._k, number + half, 4)]
        return [weight * mask for weight, mask in zip(group, masks, strict=True)]
