"""Buffers that are alive together never share memory, and others do."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.memory_plan import plan_memory
from alpha_core.recording.storage import ALIGNMENT, Buffer, View, view_of
from alpha_core.tensor import Tensor


def tensor(nbytes: int) -> Tensor:
    return Tensor((nbytes // 4,), DType.f32, View(Buffer(nbytes), (1,)))


def nothing(k: object) -> None:
    """A kernel that is never built."""


def launch(writes: list[Tensor], reads: list[Tensor]) -> Launch:
    return Launch(KernelSpec.of(nothing), writes=tuple(writes), reads=tuple(reads))


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25),
)
def test_what_lives_together_lies_apart(lives: list[tuple[int, int, int]]) -> None:
    tensors = [(tensor(4 * size), min(a, b), max(a, b)) for size, a, b in lives]
    launches = [
        launch([t for t, first, _ in tensors if first == step], [t for t, _, last in tensors if last == step])
        for step in range(31)
    ]
    plan = plan_memory(launches)
    for i, (a, a_first, a_last) in enumerate(tensors):
        start = plan.offsets[id(view_of(a).buffer)]
        assert start % ALIGNMENT == 0
        assert start + a.nbytes <= plan.nbytes
        for b, b_first, b_last in tensors[:i]:
            if a_first <= b_last and b_first <= a_last:
                other = plan.offsets[id(view_of(b).buffer)]
                assert start + a.nbytes <= other or other + b.nbytes <= start


def test_a_chain_needs_room_for_two() -> None:
    chain = [tensor(4096) for _ in range(10)]
    launches = [launch([after], [before]) for before, after in pairwise(chain)]
    assert plan_memory(launches).nbytes == 2 * 4096


def test_what_must_always_be_there_shares_with_nothing() -> None:
    kept, other = tensor(64), tensor(64)
    plan = plan_memory([launch([other], [])], [view_of(kept).buffer])
    assert plan.nbytes == 128


def test_what_gets_memory_elsewhere_has_no_place() -> None:
    given_, made, result = tensor(400), tensor(400), tensor(4000)
    launches = [launch([made], [given_]), launch([result], [made])]
    apart = [view_of(result).buffer, view_of(given_).buffer]
    plan = plan_memory(launches, [view_of(given_).buffer], apart=apart)
    assert list(plan.offsets) == [id(view_of(made).buffer)]
    assert plan.nbytes == -(-400 // ALIGNMENT) * ALIGNMENT
