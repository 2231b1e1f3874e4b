"""Operations among invocations make valid modules, and name what the device must have."""

import pytest
from tests.helios.spirv.tools import validated

from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import Type, f16, f32, i8, i16, i32, i64

_BASE = {"bufferDeviceAddress", "shaderInt64", "subgroupBasic"}


@pytest.mark.parametrize("type_", [i8, i16, i32, i64, f16, f32], ids=str)
@pytest.mark.parametrize("lanes", [0, 4])
def test_numbers_are_combined_over_a_subgroup(type_: Type, lanes: int) -> None:
    k = Kernel()
    p = k.pointer(type_)
    x = p.load(0, lanes)
    total = k.subgroup_add(x) + k.subgroup_max(x) + k.subgroup_min(x) + k.subgroup_reduce("mul", x)
    total = total + k.subgroup_inclusive("add", x) + k.subgroup_exclusive("max", x)
    if not type_.is_float:
        total = total + k.subgroup_reduce("and", x) + k.subgroup_reduce("or", x) + k.subgroup_reduce("xor", x)
    p.store(0, total)
    requirements = validated(k).requirements
    assert "subgroupArithmetic" in requirements
    assert ("shaderSubgroupExtendedTypes" in requirements) == (type_ not in (i32, f32))


def test_values_move_between_invocations() -> None:
    k = Kernel()
    p, n = k.pointer(f32), k.integer()
    x = p.load(0, 2)
    total = k.subgroup_shuffle(x, n) + k.subgroup_shuffle_xor(x, 16) + k.subgroup_broadcast(x, n)
    total = total + k.subgroup_shuffle_up(x, 1) + k.subgroup_shuffle_down(x, n)
    p.store(0, total)
    requirements = validated(k).requirements
    assert requirements == _BASE | {"subgroupShuffle", "subgroupShuffleRelative"}


def test_one_invocation_speaks_for_all() -> None:
    k = Kernel()
    p = k.pointer(f32)
    with k.if_(k.subgroup_elect()):
        p[k.subgroup_id] = k.subgroup_broadcast(p[0], 3) + k.subgroup_broadcast_first(p[1])
    assert validated(k).requirements == _BASE | {"subgroupBallot"}


def test_votes() -> None:
    k = Kernel()
    p = k.pointer(i32)
    positive = p[k.subgroup_lane] > 0
    ballot = k.subgroup_ballot(positive)
    with k.if_(k.subgroup_all(positive) | k.subgroup_any(positive)):
        p[0] = k.ballot_count(ballot) + k.ballot_count(ballot, before=True) + ballot[0]
    p[1] = k.subgroup_size + k.subgroup_count
    assert validated(k).requirements == _BASE | {"subgroupBallot", "subgroupVote"}
