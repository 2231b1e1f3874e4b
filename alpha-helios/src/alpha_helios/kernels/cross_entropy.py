"""Cross-entropy of rows of logits, and its gradient, without an array of probabilities in the forward pass."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.math import log, reciprocal
from alpha_helios.kernels.rows import Row
from alpha_helios.kernels.softmax import decay, shifted_sum
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i64
from alpha_helios.spirv.value import Value

__all__ = ["cross_entropy", "cross_entropy_grad"]


def cross_entropy(k: Kernel, *, logits: str, team: int, lanes: int) -> None:
    """out = log sum exp(x - max x) - (x[target] - max x); 0 where the target is ignored, NaN if there is no such class.

    Arguments: out (f32), logits, targets (i32); rows, classes, the class to ignore. A team takes a row.
    """
    out, source, targets = k.pointer(), elements(k, logits, readonly=True), elements(k, "i32", readonly=True)
    count, width, ignored = k.integer(), k.integer(), k.integer()
    members = Team(k, team)
    index = linear_group(k) * members.count + members.index
    row = Row(members, k.select(index < count, width, 0), lanes, 0)
    x = source + k.convert(index, i64) * k.convert(width, i64)
    largest, total = shifted_sum(row, row.held(x))
    with k.if_((members.lane == 0) & (index < count)):
        target = targets[index]
        loss = k.variable(float("nan"), f32)
        with k.if_(_exists(k, target, width)):
            loss.value = log(k, total) - (x[target] - largest)
        out[index] = k.select(target == ignored, 0.0, loss.value)


def cross_entropy_grad(k: Kernel, *, out: str, grad: str, logits: str, team: int, lanes: int, chunks: int) -> None:
    """out = grad * (softmax(logits) - one_hot(target)); 0 where the target is ignored, NaN if there is no such class.

    Arguments: out, grad, logits, targets (i32); rows, classes, the class to ignore. A team takes a row.
    """
    result, grads, source = elements(k, out), elements(k, grad, readonly=True), elements(k, logits, readonly=True)
    targets = elements(k, "i32", readonly=True)
    count, width, ignored = k.integer(), k.integer(), k.integer()
    members = Team(k, team)
    index = linear_group(k) * members.count + members.index
    known = index < count
    row = Row(members, k.select(known, width, 0), lanes, chunks)
    start = k.convert(index, i64) * k.convert(width, i64)
    x, to_row = source + start, result + start
    values = row.held(x)
    largest, total = shifted_sum(row, values)
    with k.if_(known):
        target = targets[index]
        exists, skipped = _exists(k, target, width), target == ignored
        share = reciprocal(k, total)
        g = k.select(exists, grads[index], float("nan"))
        scale = share * g

        def write(i: Value, slot: int, value: Value) -> None:
            to_row.store(i, k.select(skipped, 0.0, decay(k, value - largest) * scale))

        row.each(write, values)
        # The invocation that wrote the target's element writes it again, in its order.
        mine = (target // lanes) % members.size == members.lane
        with k.if_(exists & mine & ~skipped):
            to_row[target] = (decay(k, x[target] - largest) * share - 1.0) * g


def _exists(k: Kernel, target: Value, width: Value) -> Value:
    return (target >= 0) & (target < width)
