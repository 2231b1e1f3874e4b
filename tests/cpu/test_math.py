"""exp, log, tanh and sigmoid beside float64, over all of f32."""

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("llvmlite")

from tests.cpu.backends import cpu, levels

Float32 = npt.NDArray[np.float32]

UNITS = {"exp": 1.0, "log": 1.0, "tanh": 2.5, "sigmoid": 2.5}
SMALLEST = 2.0**-126  # what is smaller may become 0


def _numbers() -> Float32:
    """Bit patterns from all over f32, and densely where the functions change."""
    patterns = np.arange(0, 2**32, 65521, dtype=np.uint64).astype(np.uint32).view(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**-149, 88.72283, 88.72284, -87.33654], np.float32)
    return np.concatenate([patterns, np.linspace(-110, 100, 40001, dtype=np.float32), special])


def _exactly(op: str, x: Float32) -> npt.NDArray[np.float64]:
    wide = x.astype(np.float64)
    if op == "sigmoid":
        return np.exp(-np.logaddexp(0.0, -wide))
    return np.asarray(getattr(np, op)(wide))


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("op", UNITS)
def test_functions_are_within_units_in_the_last_place(
    op: str, level: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    backend = cpu(tmp_path_factory.getbasetemp() / "kernels", level)
    with np.errstate(all="ignore"):
        x = _numbers()
        got = backend.download(getattr(backend, op)(backend.upload(x)))
        want = _exactly(op, x)
        rounded = want.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(got[np.isinf(rounded)], rounded[np.isinf(rounded)])
        finite = np.isfinite(rounded) & (np.abs(want) >= SMALLEST)
        error = np.abs(got.astype(np.float64) - want)[finite] / np.spacing(np.abs(rounded[finite])).astype(np.float64)
        assert error.max() <= UNITS[op]
        tiny = np.isfinite(rounded) & ~finite
        assert (np.abs(got.astype(np.float64) - want)[tiny] <= SMALLEST).all()


def test_tanh_keeps_the_sign_of_zero(tmp_path_factory: pytest.TempPathFactory) -> None:
    backend = cpu(tmp_path_factory.getbasetemp() / "kernels")
    got = backend.download(backend.tanh(backend.upload(np.array([0.0, -0.0], np.float32))))
    assert list(np.signbit(got)) == [False, True]
