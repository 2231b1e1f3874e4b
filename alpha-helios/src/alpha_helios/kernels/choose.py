"""The choice of a token by a workgroup for each row: limits are found by bisection of the logits, nothing is sorted."""

from collections.abc import Callable

import attrs

from alpha_helios.grid import linear_group
from alpha_helios.kernels import math
from alpha_helios.kernels.access import Elements, elements
from alpha_helios.kernels.sort import order_of_number
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Indexed
from alpha_helios.spirv.types import f32, i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["choose"]

_BELOW_ONE = 1.0 - 2.0**-24
_SIGN = -(1 << 31)
_LEAST, _MOST = -(2**31), 2**31 - 1
_BITS = 2  # of a key that one pass over the row finds

Weight = Callable[[Value], Value]
"""What counts for an element, by its key."""


def choose(k: Kernel, *, stored: tuple[str, str], few: bool, nucleus: bool) -> None:
    """out[row] = the token that `Backend.choose_token` draws, at a temperature above 0.

    `stored` are dtypes of logits and uniform; `few`: there is a limit `top_k`, `nucleus`: `top_p` is below 1.
    Arguments: out; logits, uniform; rows, width; temperature, top_k, top_p, min_p. Grid: a workgroup for each row.
    """
    out, x, uniform = k.pointer(i32), elements(k, stored[0], readonly=True), elements(k, stored[1], readonly=True)
    rows, width = k.integer(), k.integer()
    temperature, top_k, top_p, min_p = k.number(), k.integer(), k.number(), k.number()
    number = linear_group(k)
    with k.if_(number < rows):
        row = _Row(k, x + k.convert(number, i64) * k.convert(width, i64), width, temperature)
        limit = _largest(row, k.minimum(top_k, width)) if few else None
        limit = _reaching(row, top_p, limit) if nucleus else limit
        token = _drawn(row, limit, min_p, uniform[number])
        with k.if_(token >= 0):
            out[number] = token


class _Row:
    """The logits of a row by their keys, integers in the same order."""

    def __init__(self, k: Kernel, logits: Elements, width: Value, temperature: Value) -> None:
        self.k, self.width, self.team = k, width, Team(k)
        self._logits, self._temperature = logits, temperature
        best = k.variable(_LEAST, i32)
        with self.team.along(width) as index:
            best.value = k.maximum(best.value, self.key(index))
        self._largest = math.from_order(k, self.team.max(best.value)[0])

    def key(self, index: Value) -> Value:
        return order_of_number(self.k, self._logits[index])

    def share(self, key: Value) -> Value:
        """Probability, as a share of the largest one."""
        return math.exp(self.k, math.divide(self.k, math.from_order(self.k, key) - self._largest, self._temperature))

    def above(self, cut: Value, weight: Weight, zero: Value) -> Value:
        """What the keys above one weigh together."""
        total = self.k.variable(zero)
        with self.team.along(self.width) as index:
            key = self.key(index)
            total.value = total.value + self.k.select(key > cut, weight(key), zero)
        return self.team.sum(total.value)[0]

    def cut(self, needed: Value, weight: Weight, further: Weight | None = None) -> Value:
        """The largest key from which on all weigh at least `needed`, with `further` for what is not among them."""
        k, zero = self.k, self.k.constant(needed.type, 0)
        prefix = k.variable(0, i32)
        with k.range_(0, 32, _BITS) as done:
            shift = 32 - _BITS - done
            keys = [(prefix.value | (k.constant(i32, digit) << shift)) ^ _SIGN for digit in range(1, 1 << _BITS)]
            sums = [k.variable(zero) for _ in keys]
            with self.team.along(self.width) as index:
                key = self.key(index)
                weighed = weight(key)
                for candidate, total in zip(keys, sums, strict=True):
                    total.value = total.value + k.select(key >= candidate, weighed, zero)
            digit = k.constant(i32, 0)
            for place, reached in enumerate(self.team.sum(*(total.value for total in sums))):
                whole = reached if further is None else reached + further(keys[place])
                digit = k.select(whole >= needed, place + 1, digit)
            prefix.value = prefix.value | (digit << shift)
        return prefix.value ^ _SIGN


@attrs.frozen
class _Limit:
    """What stays: all keys above `cut`, and of those equal to it the first ones."""

    cut: Value
    allows: Callable[[Value], Value]
    """Whether one stays that has so many equal ones before it."""
    edge: Value
    """The share of what stays of those at the cut."""


def _largest(row: _Row, count: Value) -> _Limit:
    """The `count` largest."""
    k = row.k
    one = k.constant(i32, 1)
    cut = row.cut(count, lambda key: one)
    left = count - row.above(cut, lambda key: one, k.constant(i32, 0))
    return _Limit(cut, lambda rank: rank < left, k.convert(left, f32) * row.share(cut))


def _reaching(row: _Row, part: Value, within: _Limit | None) -> _Limit:
    """Of what stays within a limit, the fewest first ones that have `part` of its sum."""
    k, zero = row.k, row.k.constant(f32, 0)
    if within is None:
        outer, edge, weight = k.constant(i32, _LEAST), zero, row.share
    else:
        outer, edge = within.cut, within.edge

        def weight(key: Value) -> Value:
            return k.select(key > outer, row.share(key), zero)

    bound = (row.above(outer, weight, zero) + edge) * part
    cut = row.cut(bound, weight, lambda key: k.select(key <= outer, edge, zero))
    before, step = row.above(cut, weight, zero), row.share(cut)

    def allows(rank: Value) -> Value:
        needed = before + k.convert(rank, f32) * step < bound
        return needed if within is None else needed & ((cut > outer) | within.allows(rank))

    return _Limit(cut, allows, zero)


def _drawn(row: _Row, limit: _Limit | None, min_p: Value, uniform: Value) -> Value:
    """Finds the first index up to which the kept shares add up to more than `uniform` times their sum.

    Every invocation has a stretch of the row; the one in whose stretch the sum is reached goes through it and gives the
    index, the others -1.
    """
    k, team = row.k, row.team
    length = (row.width + (team.size - 1)) // team.size
    start = k.minimum(team.lane * length, row.width)
    stop = k.minimum(start + length, row.width)
    zero = k.constant(i32, 0)

    def at_cut(key: Value) -> Value:
        return zero if limit is None else k.select(key == limit.cut, k.constant(i32, 1), 0)

    def kept(key: Value, rank: Value) -> Value:
        share = row.share(key)
        stays = share >= min_p
        if limit is not None:
            stays = stays & ((key > limit.cut) | ((key == limit.cut) & limit.allows(rank)))
        return k.select(stays, share, 0.0)

    equals_before = zero
    if limit is not None:
        equals = k.variable(zero)
        with k.range_(start, stop) as index:
            equals.value = equals.value + at_cut(row.key(index))
        equals_before = _running(k, team, k.shared(i32, team.size), equals.value) - equals.value

    def stretch(visit: Callable[[Value, Value], None]) -> None:
        rank = k.variable(equals_before)
        with k.range_(start, stop) as index:
            key = row.key(index)
            visit(index, kept(key, rank.value))
            rank.value = rank.value + at_cut(key)

    own = k.variable(0.0, f32)

    def add(index: Value, share: Value) -> None:
        own.value = own.value + share

    stretch(add)
    reached = _running(k, team, k.shared(f32, team.size), own.value)
    bound = team.max(reached)[0] * k.minimum(uniform, _BELOW_ONE)
    # Sums of different lengths are rounded differently: only a stretch where something was kept counts.
    mine = own.value > 0
    (first,) = team.combine("min", [k.select(mine & (reached > bound), team.lane, _MOST)])
    (last,) = team.combine("max", [k.select(mine, team.lane, 0)])
    chosen = k.variable(-1, i32)
    with k.if_(team.lane == k.minimum(first, last)):
        chosen.value = k.minimum(start, row.width - 1)
        running = k.variable(reached - own.value)

        def look(index: Value, share: Value) -> None:
            is_open = (running.value <= bound) & (share > 0)
            chosen.value = k.select(is_open, index, chosen.value)
            running.value = running.value + share

        stretch(look)
    return chosen.value


def _running(k: Kernel, team: Team, shared: Indexed, value: Value) -> Value:
    """The sum over the invocations up to this one, by doubling (Hillis, Steele 1986)."""
    total = k.variable(value)
    step = 1
    while step < team.size:
        k.barrier()
        shared[team.lane] = total.value
        k.barrier()
        with k.if_(team.lane >= step):
            total.value = total.value + shared[team.lane - step]
        step *= 2
    return total.value
