"""Attention on cooperative matrices of devices that are imagined, beside float64 on rounded operands."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.attention.setups import Setup, stored
from tests.helios.attention.test_coop import BOUND, assert_near, run
from tests.helios.effort import THOROUGH
from tests.helios.machine.imagined import IMAGINED, imagined

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
    made = [launch.spec for launch in launched if "_coop" in launch.spec.build.__name__]
    forward = "attention_coop2" if device == "tensors" else "attention_coop"
    assert [spec.build.__name__ for spec in made] == [forward, *["attention_grad_coop"] * 2]
    fragment = fragments(helios.info, dtype.value)[0]
    assert all(dict(spec.parameters)["tile"].fragment == fragment for spec in made)


@pytest.mark.parametrize(
    ("device", "setup", "dtype"),
    [
        *(("matrices", setup, (DType.bf16, DType.f16)[number % 2]) for number, setup in enumerate(SETUPS)),
        ("matrices, functions", SETUPS[3], DType.f16),
        ("waves of 64, functions", SETUPS[3], DType.f16),
        ("flat, functions", SETUPS[2], DType.bf16),
        ("narrow, functions", SETUPS[5], DType.f16),
    ],
    ids=str,
)
def test_results_of_the_kernels_that_a_device_can_have(
    device: str, setup: Setup, dtype: DType, launched: list[Launch]
) -> None:
    """Products of 16 x 8 x 16 are no factors of the next ones."""
    helios = imagined(device)
    helios.set_matmul_dtype(dtype)
    arrays = setup.draw()[:3]
    exact = [CpuRef().upload(helios.download(stored(helios, array)).astype(np.float64)) for array in arrays]
    tensors = [stored(helios, array) for array in arrays]
    got = [helios.download(one) for one in helios.attention(*tensors, *setup.options(helios))]
    want = [CpuRef().download(one) for one in CpuRef().attention(*exact, *setup.options(CpuRef()))]
    assert_near(got, want, BOUND[dtype])
    made = [launch.spec.build.__name__ for launch in launched if "attention" in launch.spec.build.__name__]
    in_place = device.endswith("functions") and not device.startswith("narrow")
    assert made == ["attention_coop2" if in_place else "attention_coop"]


@pytest.mark.parametrize(
    ("device", "subgroups", "high", "columns", "in_place"),
    [
        ("tensors", 4, 2, 32, False),
        ("tensors", 1, 1, 32, False),
        ("flat", 4, 2, 32, False),
        ("tensors", 4, 2, 32, True),
        ("tensors", 2, 1, 64, True),
        ("tensors", 1, 1, 16, True),
        ("flat, functions", 4, 2, 32, True),
        ("waves of 64, functions", 2, 1, 16, True),
    ],
)
def test_every_tile(
    device: str, subgroups: int, high: int, columns: int, in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    helios, setup = imagined(device), Setup(1, 1, 70, 75, 48, soft_cap=3.0, rate=0.25)
    dtype = DType.bf16 if high > 1 else DType.f16
    tile = PanelTile(fragments(helios.info, dtype.value)[0], helios.info.subgroup_size, subgroups, high, columns)

    def ways(_info: Any, _dtype: Any, _call: Any, part: Part) -> Sequence[Way]:
        if part is FORWARD:
            return [MatrixBlocks(tile, dtype.value, unrolled=True, in_place=in_place)]
        return [MatrixBlocks(attrs.evolve(tile, high=1, columns=32), dtype.value, unrolled=True)]

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


@pytest.mark.parametrize("device", ["waves of 64", "tensors"])
def test_larger_scores_later_scale_what_was_summed(device: str) -> None:
    helios, setup = imagined(device), Setup(1, 1, 100, 100, 72)
    helios.set_matmul_dtype(DType.f16)
    query, key, value, _ = setup.draw()
    key *= np.linspace(0.1, 30, 100, dtype=np.float32)[:, None]
    tensors = [stored(helios, array) for array in (query, key, value)]
    exact = [CpuRef().upload(helios.download(one).astype(np.float64)) for one in tensors]
    got = [helios.download(one) for one in helios.attention(*tensors)]
    assert_near(got, [CpuRef().download(one) for one in CpuRef().attention(*exact)], BOUND[DType.f16])
