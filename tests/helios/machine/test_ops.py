"""Every op on devices with subgroups of other sizes than those of the devices at hand, beside float64."""

import attrs
import numpy as np
import pytest
from tests.helios.effort import THOROUGH
from tests.helios.machine.imagined import imagined
from tests.helios.parity.draws import DRAWS
from tests.helios.parity.test_drawn_cases import CANCELS, WIDER, drawn, stored

from alpha_core.dtype import DType
from alpha_core.recording.storage import stored_dtype
from alpha_testkit.compare import assert_close
from alpha_testkit.op_cases.case import leaves

DEVICES = ("tensors", "waves of 64", "flat")  # subgroups of 32, 64 and 16
SHORT = ("quantized_embedding", "quantized_matmul")
"""What takes elements of 8 or 16 bits."""


@pytest.mark.parametrize("name", DRAWS)
def test_drawn_cases_agree_with_float64(name: str) -> None:
    first = sum(name.encode())
    for number in range(12) if THOROUGH else (first % 12,):
        check(name, number, DEVICES[(number + first // 12) % len(DEVICES)])


@pytest.mark.parametrize("name", [name for name in DRAWS if name not in SHORT])
def test_a_device_that_can_do_the_least_gives_the_same(name: str) -> None:
    for number in (0, 1, 4, 5) if THOROUGH else (len(name) % 2,):  # stored in f32
        check(name, number, "least")


def check(name: str, number: int, device: str) -> None:
    """Raises `AssertionError` unless a drawn case gives on a device what it gives in float64."""
    helios = imagined(device)
    case, host, kept = drawn(name, number)
    given = stored(helios, case.upload(helios, host), kept)
    found = leaves(case.op.call(getattr(helios, name), given))
    for index, (got, want) in enumerate(zip(found, leaves(case.reference(host)), strict=True)):
        if want is None:
            assert got is None
            continue
        values = np.asarray(want)
        dtype = DType.i32 if values.dtype == np.int32 else stored_dtype(got)
        tolerance = attrs.evolve(case.tolerance.times(WIDER), least=CANCELS.get(name, case.tolerance.least))
        if dtype not in (DType.f32, DType.i32):
            tolerance = attrs.evolve(tolerance, units=0.51 + tolerance.units * 2**-10, reason="rounded once")
        assert_close(f"result {index} of `{name}`, case {number}", helios.download(got), values, dtype, tolerance)
