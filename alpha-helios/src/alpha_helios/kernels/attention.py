"""Causal attention without the matrix of scores: softmax over blocks of keys, renormalized as a larger score appears.

Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention".
"""

from functools import reduce
from typing import Unpack

from alpha_helios.kernels.attention_block import Given, QueryBlock
from alpha_helios.kernels.attention_tile import LEAST, LN2, TILES, Stage, Weights, mix, power, products, store
from alpha_helios.kernels.math import log, reciprocal
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, vector
from alpha_helios.spirv.value import Value

__all__ = ["attention"]


def attention(
    k: Kernel,
    *,
    tile: str,
    width: int,
    lanes: int,
    **given: Unpack[Given],
) -> None:
    """Writes out (B, H, Tq, D) and log_sum_exp (B, H, Tq); reads query, key, value, and for dropout step and rows.

    Values: B * H, H, Tq, Tk; strides of query, key, value, out; what `Scores` and `Dropout` take. `lanes` (4 or 1)
    neighbours are read and written at once. Grid: a workgroup for each block of queries, the last ones first, because
    they see the most keys.

    For each product of numbers, shared memory is read for 1/4 to 3/8 of a number, 16 bytes at a time, which limits it
    next to the multipliers. Keys and values are read from memory one block ahead, unless heads are too wide.
    """
    shape = TILES[tile]
    block = QueryBlock.of(k, shape.rows, given)
    scores, drops, first = block.scores, block.drops, block.first
    older, last = block.older, block.keys - 1
    y, x = k.local_index // shape.across, k.local_index % shape.across
    own = [first + (y * shape.high + i) for i in range(shape.high)]  # queries

    questions = Stage(k, shape.rows, width, shape.high, lanes)
    stage = Stage(k, shape.columns, width, 4, lanes)
    weights, team = Weights(k, shape, y, x), Team(k, shape.across)
    questions.bring(block.query_rows, first, block.queries - 1)
    zero = k.constant(i32, 0)
    following = [k.variable(part) for part in stage.fetch(block.key_rows, zero, last)] if stage.ahead else []
    largest = [k.variable(LEAST, f32) for _ in own]
    totals = [k.variable(0.0, f32) for _ in own]
    vectors = -(-stage.vectors // shape.across)
    mixed = [[k.variable(0.0, vector(f32, 4)) for _ in range(vectors)] for _ in own]

    with k.range_(0, block.stop, shape.columns) as start:
        k.barrier()
        values: list[Value] = []
        if stage.ahead:
            stage.put(following)
            values = stage.fetch(block.value_rows, start, last)
        else:
            stage.bring(block.key_rows, start, last)
        k.barrier()
        column = start + x * 4
        rows = []
        for mine, line in zip(own, products(k, questions, stage, y, x), strict=True):
            capped = [scores.score(k, product)[0] for product in line]
            rows.append([k.select(column + n <= mine + older, one, float("-inf")) for n, one in enumerate(capped)])
        tops = team.max(*(reduce(k.maximum, row) for row in rows))
        for i, mine in enumerate(own):
            before, now = largest[i].value, k.maximum(largest[i].value, tops[i])
            change = power(k, before - now)
            rows[i] = [power(k, one - now) for one in rows[i]]
            largest[i].value = now
            totals[i].value = reduce(lambda a, b: a + b, rows[i], totals[i].value * change)
            for one in mixed[i]:
                one.value = one.value * change
            if drops is not None:
                masks = drops.masks(k, block.number(mine, column), 4)
                rows[i] = [a * b for a, b in zip(rows[i], masks, strict=True)]
        weights.put(rows)
        k.barrier()
        if stage.ahead:
            stage.put(values)
            for variable, part in zip(following, stage.fetch(block.key_rows, start + shape.columns, last), strict=True):
                variable.value = part
        else:
            stage.bring(block.value_rows, start, last)
        k.barrier()
        mix(k, weights, stage, x, shape.across, mixed)

    sums = team.sum(*(total.value for total in totals))
    for mine, top, total, result in zip(own, largest, sums, mixed, strict=True):
        with k.if_(mine < block.queries):
            store(block.out_rows[mine], result, reciprocal(k, total), x, shape.across, width, lanes)
            with k.if_(x == 0):
                block.log_sum_exp[mine] = k.fma(top.value, LN2, log(k, total))
