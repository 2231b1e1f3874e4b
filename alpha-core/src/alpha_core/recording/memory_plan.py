"""Where the intermediates of a step lie: buffers that are never alive together share memory."""

from collections.abc import Sequence

import attrs

from alpha_core.recording.launch import Launch
from alpha_core.recording.storage import ALIGNMENT, Buffer, buffer_of

__all__ = ["MemoryPlan", "plan_memory"]


@attrs.frozen
class MemoryPlan:
    """Offsets of buffers, by identity, in one arena."""

    offsets: dict[int, int]
    nbytes: int


@attrs.define
class _Lifetime:
    buffer: Buffer
    first: int
    last: int


def plan_memory(
    launches: Sequence[Launch],
    always: Sequence[Buffer] = (),
    *,
    apart: Sequence[Buffer] = (),
    reuse: bool = True,
) -> MemoryPlan:
    """Gives every buffer that has no memory of its own a place; those of `always` keep theirs throughout.

    Those of `apart` get memory of their own later, and no place.

    Largest first, each at the lowest offset that is free over its whole life (Pisarchyk, Lee 2020, "greedy by size").
    """
    elsewhere = {id(buffer) for buffer in apart}
    kept = (buffer for buffer in always if id(buffer) not in elsewhere)
    lives: dict[int, _Lifetime] = {id(buffer): _Lifetime(buffer, 0, len(launches)) for buffer in kept}
    for index, launch in enumerate(launches):
        for tensor in (*launch.writes, *launch.updates, *launch.reads):
            buffer = buffer_of(tensor)
            if buffer.memory is None and id(buffer) not in elsewhere:
                life = lives.setdefault(id(buffer), _Lifetime(buffer, index, index))
                life.last = max(life.last, index)
    placed: list[tuple[int, int, _Lifetime]] = []  # start, stop
    offsets: dict[int, int] = {}
    total = 0
    for life in sorted(lives.values(), key=lambda one: (-one.buffer.nbytes, one.first)):
        size = -(-max(life.buffer.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        start = 0
        for other_start, other_stop, other in placed:
            together = not reuse or (life.first <= other.last and other.first <= life.last)
            if together and start < other_stop and other_start < start + size:
                start = other_stop
        offsets[id(life.buffer)] = start
        placed.append((start, start + size, life))
        placed.sort(key=lambda item: item[0])
        total = max(total, start + size)
    return MemoryPlan(offsets, total)
