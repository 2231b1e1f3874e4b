"""The gradient of causal attention, in three kernels that recompute the weights (Dao et al. 2022, "FlashAttention").

P = exp(S - log_sum_exp); dP = (grad v^T) * mask; dS = P * (dP - sum(grad * out)); dq = dS k / sqrt(D);
dk = dS^T q / sqrt(D); dv = (P * mask)^T grad. A soft cap multiplies dS by its slope.
"""

from collections.abc import Sequence

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.attention_tile import (
    LOG2_E,
    TILES,
    Dropout,
    Heads,
    Scores,
    Stage,
    Weights,
    mix,
    products,
    store,
)
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["attention_grad", "attention_rows"]


def attention_rows(k: Kernel, *, width: int, lanes: int, team: int, grad: str, out: str) -> None:
    """Writes sum(grad * out) over the last axis, (B, H, T); reads grad and out (B, H, T, D).

    Values: B * H, H, T; strides of grad and out. Grid: `team` invocations for each row, which is bound by memory.
    """
    target = k.pointer()
    sources = [elements(k, stored, readonly=True) for stored in (grad, out)]
    pairs, heads, time = (k.integer() for _ in range(3))
    tensors = [Heads.of(k, first) for first in sources]
    members = Team(k, team)
    row = linear_group(k) * members.count + members.index
    exists = row < pairs * time
    row = k.select(exists, row, 0)
    pair, place = row // time, row % time
    left, right = (tensor.rows(pair // heads, pair % heads)[place] for tensor in tensors)
    total = k.variable(0.0, f32)
    with members.along(width, lanes) as d:
        product = left.load(d, lanes if lanes > 1 else 0) * right.load(d, lanes if lanes > 1 else 0)
        total.value = total.value + k.horizontal_sum(product)
    (sum_,) = members.sum(total.value)
    with k.if_(exists & (members.lane == 0)):
        target[row] = sum_


def attention_grad(
    k: Kernel,
    *,
    of_keys: bool,
    tile: str,
    width: int,
    lanes: int,
    results: str,
    grad: str,
    query: str,
    key: str,
    value: str,
    soft_cap: bool,
    dropout: bool,
    whole: bool,
) -> None:
    """Writes dq (B, H, Tq, D), or with `of_keys` dk and dv (B, H, Tk, D); reads grad, query, key, value, log_sum_exp
    and `attention_rows`, (B, H, Tq) each, and for dropout step and rows.

    Values: B * H, H, Tq, Tk; strides of the results, grad, query, key, value; what `Scores` takes; what products with
    dS are multiplied by; what `Dropout` takes. Grid: a workgroup for each block of queries or keys, the longest loops
    first.

    Nothing is added up by several workgroups, so scores are computed twice: 7 products in place of 5. As in `attention`
    shared memory limits it, and how many workgroups find room there: their own rows of both matrices stay in it.
    """
    shape = TILES[tile]
    targets = [elements(k, results) for _ in range(2 if of_keys else 1)]
    sources = [elements(k, stored, readonly=True) for stored in (grad, query, key, value)]
    statistics = [k.pointer(readonly=True) for _ in range(2)]
    step, sequences = (k.pointer(i32, readonly=True) for _ in range(2)) if dropout else (None, None)
    pairs, heads, queries, keys = (k.integer() for _ in range(4))
    target_heads = [Heads.of(k, first) for first in targets]
    all_heads = [Heads.of(k, first) for first in sources]
    scores, width_scale = Scores.of(k, soft_cap), k.number()
    count, others = (keys, queries) if of_keys else (queries, keys)
    blocks = (count + (shape.rows - 1)) // shape.rows
    index = linear_group(k)
    with k.if_(index >= pairs * blocks):
        k.return_()
    pair, block = index // blocks, index % blocks
    batch, head = pair // heads, pair % heads
    drops = Dropout.of(k, whole, sequences, step, batch)
    older = keys - queries
    y, x = k.local_index // shape.across, k.local_index % shape.across
    entries = [one + k.convert(pair, i64) * k.convert(queries, i64) for one in statistics]

    def per_query(i: Value) -> tuple[Value, Value]:
        """log_sum_exp as an exponent of 2, and the sum over the row."""
        here = k.minimum(i, queries - 1)
        return entries[0][here] * LOG2_E, entries[1][here]

    of_grad, of_query, of_key, of_value = (one.rows(batch, head) for one in all_heads)
    if of_keys:
        first = block * shape.rows
        own_rows, met_rows = (of_key, of_value), (of_query, of_grad)
        begin, stop = k.maximum(first - older, 0), queries
    else:
        first = (blocks - 1 - block) * shape.rows
        own_rows, met_rows = (of_query, of_grad), (of_key, of_value)
        begin, stop = k.constant(i32, 0), k.minimum(first + shape.rows, queries) + older
    own = [first + (y * shape.high + i) for i in range(shape.high)]
    of_own = [] if of_keys else [per_query(i) for i in own]

    stages = [Stage(k, shape.rows, width, shape.high, lanes) for _ in own_rows]
    met = [Stage(k, shape.columns, width, 4, lanes) for _ in met_rows]
    weights = [Weights(k, shape, y, x) for _ in targets]
    for stage, rows in zip(stages, own_rows, strict=True):
        stage.bring(rows, first, count - 1)
    following = [
        [k.variable(part) for part in stage.fetch(rows, begin, others - 1)] if stage.ahead else []
        for stage, rows in zip(met, met_rows, strict=True)
    ]
    vectors = -(-met[0].vectors // shape.across)
    sums = [[[k.variable(0.0, vector(f32, 4)) for _ in range(vectors)] for _ in own] for _ in targets]

    with k.range_(begin, stop, shape.columns) as start:
        k.barrier()
        for stage, rows, parts in zip(met, met_rows, following, strict=True):
            if not stage.ahead:
                stage.bring(rows, start, others - 1)
                continue
            stage.put(parts)
            for variable, part in zip(parts, stage.fetch(rows, start + shape.columns, others - 1), strict=True):
                variable.value = part
        k.barrier()
        dots, dweights = (products(k, left, right, y, x) for left, right in zip(stages, met, strict=True))
        columns = [start + (x * 4 + n) for n in range(4)]
        of_columns = [per_query(i) for i in columns] if of_keys else []
        masks = _masks(k, drops, head * queries, keys, own, columns, of_keys)
        slopes: list[list[Value]] = []
        dropped: list[list[Value]] = []
        for r, mine in enumerate(own):
            made: list[tuple[Value, Value]] = []
            for c, other in enumerate(columns):
                i, j = (other, mine) if of_keys else (mine, other)
                visible = (j <= i + older) & (i < queries) if of_keys else j <= i + older
                of_this, mask = of_columns[c] if of_keys else of_own[r], None if masks is None else masks[r][c]
                made.append(scores.gradient(k, dots[r][c], dweights[r][c], of_this, mask, visible))
            slopes.append([one for one, _ in made])
            dropped.append([one for _, one in made])
        for block_, values in zip(weights, (slopes, dropped), strict=False):
            block_.put(values)
        k.barrier()
        for block_, stage, total in zip(weights, met, sums, strict=False):
            mix(k, block_, stage, x, shape.across, total)

    factors = [width_scale, k.constant(f32, 1.0)]
    for tensor, total, factor in zip(target_heads, sums, factors, strict=False):
        rows = tensor.rows(batch, head)
        for here, line in zip(own, total, strict=True):
            with k.if_(here < count):
                store(rows[here], line, factor, x, shape.across, width, lanes)


def _masks(
    k: Kernel,
    drops: Dropout | None,
    head_row: Value,
    keys: Value,
    own: Sequence[Value],
    columns: Sequence[Value],
    of_keys: bool,
) -> list[list[Value]] | None:
    """Returns the masks of a block, by own row and column. Neighbouring keys share the words of a counter."""
    if drops is None:
        return None
    queries, first = (columns, own[0]) if of_keys else (own, columns[0])
    rows = []
    for i in queries:
        number = k.convert(head_row + i, i64) * k.convert(keys, i64) + k.convert(first, i64)
        rows.append(drops.masks(k, number, len(own) if of_keys else len(columns)))
    return [list(line) for line in zip(*rows, strict=True)] if of_keys else rows
