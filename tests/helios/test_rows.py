"""How rows are divided among invocations: on every kind of device, and every way gives the same numbers."""

from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.effort import THOROUGH

from alpha_core.dtype import DType
from alpha_core.recording.storage import View, buffer_of
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.ops.rows import row_lanes, row_teams
from alpha_helios.vulkan.device_info import DeviceInfo

WIDTHS = (1, 2, 3, 5, 31, 32, 33, 100, 256, 768, 1024, 1025, 4096, 5000, 50257, 131072)


def device(helios: Helios, subgroup: int, most: int, *, control: bool) -> DeviceInfo:
    """A device with other subgroups and limits."""
    info = helios.info
    features = info.features | {"subgroupSizeControl"} if control else info.features - {"subgroupSizeControl"}
    limits = attrs.evolve(info.limits, max_workgroup_invocations=most)
    return attrs.evolve(info, subgroup_size=subgroup, features=features, limits=limits)


@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize(("subgroup", "most"), [(8, 1024), (32, 1024), (64, 256), (16, 128)])
def test_every_row_is_covered_on_every_device(helios: Helios, subgroup: int, most: int, control: bool) -> None:
    info = device(helios, subgroup, most, control=control)
    for width in WIDTHS:
        for lanes in (lanes for lanes in (1, 2, 4) if width % lanes == 0):
            for most_held in (16, 24, 32):
                ways = row_teams(info, width, lanes, most_held)
                assert len(set(ways)) == len(ways)
                for teams in ways:
                    assert teams.workgroup <= most
                    assert teams.workgroup % teams.team == 0
                    assert teams.team & teams.team - 1 == 0
                    if teams.chunks:
                        assert width <= teams.team * lanes * teams.chunks, "registers hold the whole row"
                        assert teams.chunks * lanes <= most_held
                    if teams.team < teams.workgroup:
                        assert control
                        assert teams.team <= subgroup == teams.subgroup, "a team that is no workgroup needs shuffles"
                    x, y, z = teams.grid(1000)
                    assert x * y * z * teams.count >= 1000


def test_vectors_are_as_wide_as_rows_and_steps_allow(helios: Helios) -> None:
    buffer = buffer_of(helios.upload(np.zeros(80, np.float32)))

    def rows(length: int, step: int, offset: int = 0) -> Tensor:
        return Tensor((6, length), DType.f32, View(buffer, (step, 1), offset))

    assert row_lanes(12, rows(12, 12)) == 4
    assert row_lanes(6, rows(6, 6)) == 2
    assert row_lanes(9, rows(9, 9)) == 1
    assert row_lanes(8, rows(8, 12)) == 4
    assert row_lanes(8, rows(8, 12), rows(8, 12, offset=2)) == 2
    assert row_lanes(8, rows(8, 12, offset=1)) == 1
    assert row_lanes(8, rows(8, 9)) == 1


@pytest.mark.parametrize("width", [64, 999, 4096, 20000] if THOROUGH else [64, 999, 20000])
def test_every_way_gives_the_same_numbers(helios: Helios, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    rng = np.random.default_rng(0)
    x, grad = (helios.upload(rng.standard_normal((37, width)).astype(np.float32)) for _ in range(2))
    weight = helios.upload(rng.random(width).astype(np.float32))
    classes, slopes = helios.upload(np.arange(37, dtype=np.int32)), helios.upload(rng.random(37).astype(np.float32))
    found: list[list[Any]] = []

    def compute() -> list[Tensor]:
        return [
            helios.layer_norm(x, weight, weight),
            *helios.layer_norm_grad(grad, x, weight),
            *helios.rms_norm_grad(grad, x, weight),
            helios.softmax(x),
            helios.log_softmax_grad(grad, x),
            helios.cross_entropy(x, classes),
            helios.cross_entropy_grad(slopes, x, classes),
        ]

    for way in range(5):
        monkeypatch.setattr(helios.tuner, "choose", lambda key, variants, make, way=way: variants[way % len(variants)])
        found.append([helios.download(tensor) for tensor in compute()])
    for results in found[1:]:
        for got, want in zip(results, found[0], strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5 * np.abs(want).max())
