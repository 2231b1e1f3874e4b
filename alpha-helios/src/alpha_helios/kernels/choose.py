"""The choice of a token by a workgroup for each row: limits are found by bisection of the logits, nothing is sorted."""

from collections.abc import Callable

from alpha_helios.grid import linear_group
from alpha_helios.kernels import math
from alpha_helios.kernels.access import elements
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


def choose(k: Kernel, *, stored: tuple[str, str], few: bool, nucleus: bool) -> None:
    """out[row] = the token that `Backend.choose_token` draws, at a temperature above 0.

    `stored` are dtypes of logits and uniform; `few`: there is a limit `top_k`, `nucleus`: `top_p` is below 1.
    Arguments: out; logits, uniform; rows, width; temperature, top_k, top_p, min_p. Grid: a workgroup for each row.
    """
    out, x, uniform = k.pointer(i32), elements(k, stored[0], readonly=True), elements(k, stored[1], readonly=True)
    rows, width = k.integer(), k.integer()
    temperature, top_k, top_p, min_p = k.number(), k.integer(), k.number(), k.number()
    row = linear_group(k)
    with k.if_(row < rows):
        logits = x + k.convert(row, i64) * k.convert(width, i64)
        team = Team(k)

        def key_of(index: Value) -> Value:
            return order_of_number(k, logits[index])

        best = k.variable(k.constant(i32, _LEAST))
        with team.along(width) as index:
            best.value = k.maximum(best.value, key_of(index))
        largest = math.from_order(k, team.max(best.value)[0])

        def share_of(key: Value) -> Value:
            return math.exp(k, math.divide(k, math.from_order(k, key) - largest, temperature))

        # What is kept: keys above `cut`, and of those equal to it the first ones, to which `equal_kept` says yes.
        cut = k.constant(i32, _LEAST)
        conditions: list[Callable[[Value], Value]] = []
        weight_of: Callable[[Value], Value] = share_of
        if few:
            one = k.constant(i32, 1)
            cut = _cut(k, team, width, key_of, lambda key: one, k.minimum(top_k, width))
            left = k.minimum(top_k, width) - _above(k, team, width, key_of, lambda key: one, cut)
            conditions.append(lambda rank: rank < left)
        if nucleus:
            at_cut = k.convert(left, f32) * share_of(cut) if few else k.constant(f32, 0.0)
            limit, edge = cut, at_cut

            def weight_of(key: Value) -> Value:
                return k.select(key > limit, share_of(key), 0.0) if few else share_of(key)

            total = _above(k, team, width, key_of, weight_of, k.constant(i32, _LEAST)) + edge
            bound = total * top_p
            cut = _cut(k, team, width, key_of, weight_of, bound, lambda key: k.select(key <= limit, edge, 0.0))
            before, step = _above(k, team, width, key_of, weight_of, cut), share_of(cut)
            within, new = conditions, cut
            conditions = [lambda rank: before + k.convert(rank, f32) * step < bound]
            if few:
                conditions.append(lambda rank: (new > limit) | within[0](rank))

        def kept(key: Value, rank: Value) -> Value:
            share = share_of(key)
            chosen = share >= min_p
            if conditions:
                of_equals = key == cut
                for condition in conditions:
                    of_equals = of_equals & condition(rank)
                chosen = chosen & ((key > cut) | of_equals)
            return k.select(chosen, share, 0.0)

        _draw(k, team, width, key_of, kept, cut, uniform[row], lambda index: out.store(row, index))


def _cut(
    k: Kernel,
    team: Team,
    width: Value,
    key_of: Callable[[Value], Value],
    weight_of: Callable[[Value], Value],
    needed: Value,
    further: Callable[[Value], Value] | None = None,
) -> Value:
    """Returns the largest key for which the weights of all keys from it on reach `needed`.

    `further` is a weight that is added from a key on.
    """
    prefix = k.variable(k.constant(i32, 0))
    with k.range_(0, 32, _BITS) as done:
        shift = 32 - _BITS - done
        keys = [(prefix.value | (k.constant(i32, digit) << shift)) ^ _SIGN for digit in range(1, 1 << _BITS)]
        sums = [k.variable(k.constant(needed.type, 0)) for _ in keys]
        with team.along(width) as index:
            key = key_of(index)
            weight = weight_of(key)
            for candidate, total in zip(keys, sums, strict=True):
                total.value = total.value + k.select(key >= candidate, weight, 0)
        digit = k.constant(i32, 0)
        for place, reached in enumerate(team.sum(*(total.value for total in sums))):
            all_of_it = reached if further is None else reached + further(keys[place])
            digit = k.select(all_of_it >= needed, place + 1, digit)
        prefix.value = prefix.value | (digit << shift)
    return prefix.value ^ _SIGN


def _above(
    k: Kernel,
    team: Team,
    width: Value,
    key_of: Callable[[Value], Value],
    weight_of: Callable[[Value], Value],
    cut: Value,
) -> Value:
    """Returns the weights of all keys above one, added up."""
    total = k.variable(weight_of(cut) * 0)
    with team.along(width) as index:
        key = key_of(index)
        total.value = total.value + k.select(key > cut, weight_of(key), 0)
    return team.sum(total.value)[0]


def _draw(
    k: Kernel,
    team: Team,
    width: Value,
    key_of: Callable[[Value], Value],
    kept: Callable[[Value, Value], Value],
    cut: Value,
    uniform: Value,
    finish: Callable[[Value], None],
) -> None:
    """Finds the first index up to which the kept shares add up to more than `uniform` times their sum.

    Every invocation has a stretch of the row; the one in whose stretch the sum is reached goes through it.
    """
    length = (width + (team.size - 1)) // team.size
    start = k.minimum(team.lane * length, width)
    stop = k.minimum(start + length, width)
    equals = k.variable(k.constant(i32, 0))
    with k.range_(start, stop) as index:
        equals.value = equals.value + k.select(key_of(index) == cut, k.constant(i32, 1), 0)
    equals_before = _running(k, team, k.shared(i32, team.size), equals.value) - equals.value

    def stretch(visit: Callable[[Value, Value], None]) -> None:
        rank = k.variable(equals_before)
        with k.range_(start, stop) as index:
            key = key_of(index)
            visit(index, kept(key, rank.value))
            rank.value = rank.value + k.select(key == cut, k.constant(i32, 1), 0)

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
    with k.if_(team.lane == k.minimum(first, last)):
        chosen, running = k.variable(start), k.variable(reached - own.value)

        def look(index: Value, share: Value) -> None:
            open_ = (running.value <= bound) & (share > 0)
            chosen.value = k.select(open_, index, chosen.value)
            running.value = running.value + share

        stretch(look)
        finish(k.minimum(chosen.value, width - 1))


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
