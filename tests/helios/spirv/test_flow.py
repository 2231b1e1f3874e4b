"""Control flow makes valid modules, however it nests."""

import pytest
from tests.helios.spirv.tools import validated

from alpha_helios.spirv.disassemble import decode, disassemble
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64


def _loops(k: Kernel) -> list[tuple[str, int | str]]:
    return [row.operands[-1] for row in decode(validated(k).code) if row.name == "LoopMerge"]


def test_branches_with_and_without_another_side() -> None:
    k = Kernel()
    p = k.pointer(f32)
    with k.if_(p[0] > 0) as outer:
        with k.if_(p[1] > 0):
            p[2] = 1.0
        with k.if_(p[3] > 0) as inner:
            p[4] = 2.0
        with inner.else_(), k.if_(p[5] > 0):
            p[6] = 3.0
    with outer.else_():
        p[7] = 4.0
    validated(k)


def test_both_sides_of_a_branch_lead_on() -> None:
    k = Kernel()
    p = k.pointer(f32)
    with k.if_(p[0] > 0) as branch:
        p[1] = 1.0
    with branch.else_():
        p[1] = 2.0
    p[2] = 3.0
    rows = list(decode(validated(k).code))
    (jump,) = (row for row in rows if row.name == "BranchConditional")
    labels = [row.result for row in rows if row.name == "Label"]
    assert [jump.operands[1][1], jump.operands[2][1]] == labels[1:3]
    assert sum(row.name == "Store" for row in rows) == 3


@pytest.mark.parametrize(("unroll", "control"), [(None, 0), (True, 1), (False, 2)])
def test_loops_carry_the_wish_to_be_unrolled(unroll: bool | None, control: int) -> None:
    k = Kernel()
    p = k.pointer(f32)
    with k.range_(0, 8, unroll=unroll) as i:
        p[i] = 1.0
    with k.while_(lambda: p[0] < 3, unroll=unroll):
        p[0] = p[0] + 1
    assert _loops(k) == [("loop", control)] * 2


def test_the_index_is_as_wide_as_the_bounds() -> None:
    k = Kernel()
    p, n, m = k.pointer(f32), k.integer(), k.long()
    with k.range_(0, n) as i:
        assert i.type == i32
    with k.range_(n, m, 4) as j, k.range_(j, 2**40, m) as l_:
        assert j.type == l_.type == i64
        p[l_] = 1.0
    with k.range_(n, 0, -1) as down:
        p[down] = 2.0
    validated(k)


def test_a_loop_downward_compares_the_other_way() -> None:
    k = Kernel()
    p = k.pointer(f32)
    with k.range_(7, -1, -1) as i:
        p[i] = 1.0
    names = [row.name for row in decode(validated(k).code)]
    assert "SGreaterThan" in names
    assert "SLessThan" not in names


def test_loops_are_left_and_continued_early() -> None:
    k = Kernel()
    p, n = k.pointer(f32), k.integer()
    with k.range_(0, n) as i:
        with k.if_(p[i] > 3):
            k.break_()
        with k.if_(p[i] > 2) as branch:
            k.continue_()
        with branch.else_():
            p[i] = 0.0
        with k.while_(lambda: p[0] > 1):
            with k.if_(p[1] > 3):
                k.continue_()
            k.break_()
    validated(k)


def test_an_invocation_returns_early() -> None:
    k = Kernel()
    p, n = k.pointer(f32), k.integer()
    with k.if_(k.global_(0) >= n):
        k.return_()
    p[k.global_(0)] = 1.0
    with k.if_(p[0] > 0) as branch:
        k.return_()
    with branch.else_():
        k.return_()
    validated(k)


def test_a_branch_whose_sides_both_leave_ends_its_block() -> None:
    k = Kernel()
    p, n = k.pointer(f32), k.integer()
    with k.range_(0, n) as i:
        with k.if_(p[i] > 0) as branch:
            k.break_()
        with branch.else_():
            k.continue_()
        with pytest.raises(ValueError, match="nothing can follow branches that both end"):
            p[0] = 1.0
    validated(k)


def test_conditions_may_take_several_instructions() -> None:
    k = Kernel()
    p, n = k.pointer(f32), k.integer()
    i = k.variable(0, i32)
    with k.while_(lambda: (i.value < n) & (p[i.value] > 0)):
        i.value = i.value + 1
    p.cast(i32)[0] = i.value
    validated(k)


def test_the_listing_is_indented_by_control_flow() -> None:
    k = Kernel()
    p, n = k.pointer(f32), k.integer()
    with k.range_(0, n) as i, k.if_(p[i] > 0):
        p[i] = 7.0
    p[0] = 5.0
    lines = disassemble(validated(k).code).splitlines()
    depth = {line.strip().split(",")[1].strip(): len(line) - len(line.lstrip()) for line in lines if "Store" in line}
    assert depth["7.0"] == depth["5.0"] + 4
