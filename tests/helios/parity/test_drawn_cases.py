"""Ops on drawn arguments beside float64, with operands that are stored in f32, f16 or bf16.

A run takes some cases of each op, the same ones every time. `ALPHA_HELIOS_CASES=2000` draws so many in all.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.effort import CASES
from tests.helios.parity.draws import DRAWS

from alpha_core.dtype import DType
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_testkit.compare import assert_close, rounded
from alpha_testkit.op_cases import OP_CASES, Case, Sample, Stored
from alpha_testkit.op_cases.case import leaves

EACH = -(-CASES // len(DRAWS))
STORED = (DType.f32, DType.f32, DType.f16, DType.bf16)
WIDER = 4.0
"""Drawn sizes go beyond those of the kit, so sums are longer; roundings grow no faster than the square root of that."""
CANCELS = {"cross_entropy_grad": 4.0, "layer_norm_grad": 16.0, "rms_norm_grad": 16.0}
"""What is subtracted from each other is so large, however small the result: 1 from a probability times a gradient, a
gradient's part along a row from the gradient times the weight."""
LARGEST = 60000.0  # f16 ends at 65504


def drawn(name: str, number: int) -> tuple[Case, dict[str, Any], DType]:
    """Returns a case with its arguments, rounded to what they are to be stored in."""
    rng = np.random.default_rng([number, *name.encode()])
    kept = STORED[number % len(STORED)]
    case = Case(OP_CASES[name], Sample(str(number), DRAWS[name]), DType.f32)
    host = {key: _rounded(value, kept) for key, value in DRAWS[name](rng).items()}
    return case, host, kept


def _rounded(value: Any, kept: DType) -> Any:
    if isinstance(value, Stored):
        return Stored(rounded(value.values, value.dtype), value.dtype)
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return np.asarray(rounded(np.clip(rounded(value, DType.f32), -LARGEST, LARGEST), kept))
    return [_rounded(item, kept) for item in value] if isinstance(value, list) else value


def stored(backend: Helios, arguments: Mapping[str, Any], kept: DType) -> dict[str, Any]:
    """Moves f32 tensors to where activations are stored in `kept`."""

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(item) for item in value]
        if not isinstance(value, Tensor) or value.dtype is not DType.f32 or kept is DType.f32:
            return value
        place = backend._made(value.shape, DType.f32, kept)
        backend._copy_into(place, value)
        return place

    return {name: moved(value) for name, value in arguments.items()}


@pytest.mark.parametrize("name", DRAWS)
def test_drawn_cases_agree_with_float64(name: str, helios: Helios) -> None:
    for number in range(EACH):
        case, host, kept = drawn(name, number)
        given = stored(helios, case.upload(helios, host), kept)
        results = list(leaves(case.op.call(getattr(helios, name), given)))
        for index, (got, want) in enumerate(zip(results, leaves(case.reference(host)), strict=True)):
            if want is None:
                assert got is None
                continue
            what = f"result {index} of `{name}`, case {number}, stored in {kept.value},"
            values = np.asarray(want)
            dtype = DType.i32 if values.dtype == np.int32 else stored_dtype(got)
            tolerance = attrs.evolve(case.tolerance.times(WIDER), least=CANCELS.get(name, case.tolerance.least))
            if dtype not in (DType.f32, DType.i32):
                # What was computed in f32 is rounded once more.
                tolerance = attrs.evolve(tolerance, units=0.51 + tolerance.units * 2**-10, reason="rounded once")
            assert_close(what, helios.download(got), values, dtype, tolerance)
