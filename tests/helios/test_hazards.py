"""When a launch has to wait for others: only where bytes that one of them writes are touched by the other."""

import pytest

from alpha_helios.hazards import Hazards, Span


@pytest.mark.parametrize(
    ("reads", "writes", "waits"),
    [
        ([(100, 200)], [], True),  # reads what was written
        ([], [(150, 160)], True),  # writes what was written
        ([], [(40, 60)], True),  # writes what was read
        ([(0, 50)], [], False),  # reads what was read
        ([(200, 300)], [(300, 400)], False),  # neighbours
        ([(100, 100)], [(120, 120)], False),  # nothing at all
    ],
)
def test_only_bytes_that_somebody_writes_order_launches(reads: list[Span], writes: list[Span], waits: bool) -> None:
    hazards = Hazards()
    hazards.add([(0, 50)], [(100, 200)])
    assert hazards.meets(reads, writes) is waits


def test_a_barrier_settles_everything_before_it() -> None:
    hazards = Hazards()
    hazards.add([], [(0, 10)])
    hazards.clear()
    assert not hazards.meets([(0, 10)], [(0, 10)])
