"""Attention on cooperative matrices of devices that are imagined, beside float64 on rounded operands."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.attention.setups import Setup, stored
from tests.helios.attention.test_coop import BOUND, assert_near, run
from tests.helios.machine.imagined import IMAGINED, THOROUGH, imagined

from alpha_core.dtype import DType
from alpha_core.recording.launch import Launch
from alpha_helios.attention import FORWARD, MatrixBlocks, Part, Way
from alpha_helios.backend import Helios
from alpha_helios.coop import fragments
from alpha_helios.kernels.attention_panel import PanelTile
from alpha_helios.ops import attention as attention_ops
from alpha_tensor.cpu_ref.backend import CpuRef

SETUPS = [
    Setup(1, 2, 40, 70, 128),
    Setup(1, 1, 70, 70, 96, soft_cap=2.0),
    Setup(1, 2, 37, 53, 80, rate=0.3),
    Setup(2, 1, 69, 72, 72, rate=0.3, soft_cap=1.0),
    Setup(1, 1, 66, 66, 64),
    Setup(1, 1, 33, 33, 100, rate=0.5),  # rows of no whole 16 bytes, and a width that is no multiple of 8
    Setup(1, 1, 1, 7, 128, soft_cap=3.0),
]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """Everything that is launched."""
    found: list[Launch] = []
    before = Helios.run

    def noted(self: Helios, launch: Launch) -> Any:
        found.append(launch)
        return before(self, launch)

    monkeypatch.setattr(Helios, "run", noted)
    return found


def _check(helios: Helios, setup: Setup, dtype: DType) -> None:
    helios.set_matmul_dtype(dtype)
    arrays = setup.draw()
    exact = [helios.download(stored(helios, array)).astype(np.float64) for array in arrays]
    assert_near(run(helios, setup, arrays), setup.run(CpuRef(), exact), BOUND[dtype])


CASES = [
    (device, setup, (DType.f16, DType.bf16)[(number // 2 + place) % 2])
    for place, device in enumerate(IMAGINED)
    for number, setup in enumerate(SETUPS)
    if THOROUGH or device == "tensors" or number == (2 * place - 1) % len(SETUPS)
]
"""Other devices than the first meet one of the setups."""


@pytest.mark.parametrize(("device", "setup", "dtype"), CASES, ids=str)
def test_results_and_gradients(device: str, setup: Setup, dtype: DType, launched: list[Launch]) -> None:
    helios = imagined(device)
    _check(helios, setup, dtype)
    made = [launch.spec for launch in launched if launch.spec.build.__name__.endswith("_coop")]
    assert [spec.build.__name__ for spec in made] == ["attention_coop", *["attention_grad_coop"] * 2]
    fragment = fragments(helios.info, dtype.value)[0]
    assert all(dict(spec.parameters)["tile"].fragment == fragment for spec in made)


@pytest.mark.parametrize(("device", "subgroups", "high"), [("tensors", 4, 2), ("tensors", 1, 1), ("flat", 4, 2)])
def test_every_tile(device: str, subgroups: int, high: int, monkeypatch: pytest.MonkeyPatch) -> None:
    helios, setup = imagined(device), Setup(1, 1, 70, 75, 48, soft_cap=3.0, rate=0.25)
    dtype = DType.bf16 if high > 1 else DType.f16
    tile = PanelTile(fragments(helios.info, dtype.value)[0], helios.info.subgroup_size, subgroups, high, 32)

    def ways(_info: Any, _dtype: Any, _call: Any, part: Part) -> Sequence[Way]:
        own = tile if part is FORWARD else attrs.evolve(tile, high=1)
        return [MatrixBlocks(own, dtype.value, unrolled=True)]

    monkeypatch.setattr(attention_ops, "ways", ways)
    _check(helios, setup, dtype)


def test_the_future_has_no_influence_on_wide_heads() -> None:
    helios = imagined("tensors")
    helios.set_matmul_dtype(DType.bf16)
    arrays = Setup(1, 1, 70, 70, 128).draw()
    query, key, value = (stored(helios, array) for array in arrays[:3])
    before = helios.download(helios.attention(query, key, value)[0])
    arrays[1][:, :, 41:], arrays[2][:, :, 41:] = np.nan, 7.0
    query, key, value = (stored(helios, array) for array in arrays[:3])
    after = helios.download(helios.attention(query, key, value)[0])
    assert before[:, :, :41].tobytes() == after[:, :, :41].tobytes()
    assert np.isnan(after[:, :, 41:]).all()


def test_larger_scores_later_scale_what_was_summed() -> None:
    helios, setup = imagined("waves of 64"), Setup(1, 1, 100, 100, 72)
    helios.set_matmul_dtype(DType.f16)
    query, key, value, _ = setup.draw()
    key *= np.linspace(0.1, 30, 100, dtype=np.float32)[:, None]
    tensors = [stored(helios, array) for array in (query, key, value)]
    exact = [CpuRef().upload(helios.download(one).astype(np.float64)) for one in tensors]
    got = [helios.download(one) for one in helios.attention(*tensors)]
    assert_near(got, [CpuRef().download(one) for one in CpuRef().attention(*exact)], BOUND[DType.f16])
