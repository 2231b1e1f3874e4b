"""Arguments become bytes where the kernel looks for them; what does not fit is refused."""

import math
import struct

import pytest

from alpha_core.errors import OpError
from alpha_helios.arguments import ArgumentLayout

LAYOUT = ArgumentLayout("scale", (("address", 0), ("i32", 8), ("f32", 12), ("i64", 16)), 24, False)


def test_each_argument_lies_at_its_offset() -> None:
    assert LAYOUT.pack([2**63, -1, 1.5, -(2**40)]) == struct.pack("<Qifq", 2**63, -1, 1.5, -(2**40))


@pytest.mark.parametrize(("value", "rounded"), [(1e39, math.inf), (-1e39, -math.inf), (math.nan, math.nan), (3, 3.0)])
def test_numbers_round_to_f32(value: float, rounded: float) -> None:
    (got,) = struct.unpack_from("<f", LAYOUT.pack([0, 0, value, 0]), 12)
    assert got == rounded or (math.isnan(got) and math.isnan(rounded))


@pytest.mark.parametrize("arguments", [[0, 2**31, 1.0, 0], [0, 1.5, 1.0, 0], [0, 0, 1.0, 2**63]])
def test_a_number_that_a_slot_cannot_hold_is_refused(arguments: list[float]) -> None:
    with pytest.raises(OpError, match="kernel `scale`"):
        LAYOUT.pack(arguments)


def test_a_wrong_number_of_arguments_is_refused() -> None:
    with pytest.raises(OpError, match="takes 4 arguments; given are 1"):
        LAYOUT.pack([0])
