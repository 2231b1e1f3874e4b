"""Attention on cooperative matrices beside float64 on rounded operands, in every way that the device offers."""

from collections.abc import Iterator

import attrs
import numpy as np
import pytest
from tests.helios.attention.setups import Array, Setup, stored
from tests.helios.effort import THOROUGH

from alpha_core.dtype import DType
from alpha_core.recording.launch import Launch
from alpha_helios import attention
from alpha_helios.attention import FORWARD, MatrixBlocks
from alpha_helios.backend import Helios
from alpha_helios.coop import fragments
from alpha_helios.kernels.attention_panel import PanelTile
from alpha_helios.ops import attention as attention_ops
from alpha_tensor.cpu_ref.backend import CpuRef

BOUND = {DType.f16: 2**-9.5, DType.bf16: 2**-6.5}
"""Of the length of a result: weights, gradients of scores and results are rounded once each."""

SETUPS = [
    Setup(1, 2, 64, 64, 16),
    Setup(1, 3, 5, 70, 16, soft_cap=1.5),
    Setup(2, 2, 33, 101, 24, rate=0.3),
    Setup(1, 1, 1, 1, 3),
]
if THOROUGH:
    SETUPS += [
        Setup(1, 3, 5, 70, 32, soft_cap=1.5),
        Setup(1, 1, 40, 45, 64),
        Setup(2, 1, 129, 129, 32),
        Setup(2, 1, 63, 64, 32, rate=0.5),
    ]


@pytest.fixture
def short(helios: Helios) -> Iterator[Helios]:
    """The backend with products of 16-bit operands, where the device multiplies matrices of them; without `coop2`."""
    offered_dtypes = offered(helios)
    if not offered_dtypes:
        pytest.skip("needs a Vulkan device with cooperative matrices")
    helios.set_matmul_dtype(offered_dtypes[0])
    with helios.paths.only("coop"):
        yield helios
    helios.set_matmul_dtype(DType.f32)


def offered(helios: Helios) -> list[DType]:
    """Returns the dtypes whose matrices the device multiplies."""
    return [dtype for dtype in BOUND if fragments(helios.info, dtype.value)]


def tiles(helios: Helios) -> list[PanelTile]:
    fragment = fragments(helios.info, helios.matmul_dtype.value)[0]
    sizes = [(4, 2), (4, 1), (2, 1), (1, 1)]
    return [PanelTile(fragment, helios.info.subgroup_size, subgroups, high, 32) for subgroups, high in sizes]


def run(helios: Helios, setup: Setup, arrays: list[Array]) -> list[Array]:
    query, key, value, grad = (stored(helios, array) for array in arrays)
    out, log_sum_exp = helios.attention(query, key, value, *setup.options(helios))
    gradients = helios.attention_grad(grad, query, key, value, out, log_sum_exp, *setup.options(helios))
    return [helios.download(tensor) for tensor in (out, log_sum_exp, *gradients)]


def kernels_of(helios: Helios, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns a list that the names of kernels are added to when they are launched."""
    built: list[str] = []
    launched = helios.run

    def noted(launch: Launch) -> None:
        built.append(launch.spec.build.__name__)
        launched(launch)

    monkeypatch.setattr(helios, "run", noted)
    return built


def assert_near(got: list[Array], want: list[Array], bound: float) -> None:
    for mine, right in zip(got, want, strict=True):
        # With one key the gradients of scores are exactly 0.
        assert np.linalg.norm(mine - right) <= bound * max(float(np.linalg.norm(right)), 0.1)


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_results_and_gradients(setup: Setup, short: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    built = kernels_of(short, monkeypatch)
    arrays = setup.draw()
    for dtype in offered(short):
        short.set_matmul_dtype(dtype)
        rounded = [short.download(stored(short, array)).astype(np.float64) for array in arrays]
        built.clear()
        got = run(short, setup, arrays)
        assert [name for name in built if "_coop" in name] == ["attention_coop", *["attention_grad_coop"] * 2]
        assert_near(got, setup.run(CpuRef(), rounded), BOUND[dtype])


@pytest.mark.parametrize("place", range(4))
def test_every_tile(place: int, short: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    tile = tiles(short)[place]
    width = 16 if tile.high > 1 or THOROUGH else 8  # several matrices in both directions
    setup = Setup(1, 2, 70, 75, width, soft_cap=3.0, rate=0.25)
    way = MatrixBlocks(tile, short.matmul_dtype.value, unrolled=False)
    single = MatrixBlocks(attrs.evolve(tile, high=1), short.matmul_dtype.value, unrolled=False)
    monkeypatch.setattr(attention_ops, "ways", lambda info, dtype, call, part: [way if part is FORWARD else single])
    arrays = setup.draw()
    rounded = [short.download(stored(short, array)).astype(np.float64) for array in arrays]
    results = [run(short, setup, arrays) for _ in range(2)]
    assert_near(results[0], setup.run(CpuRef(), rounded), BOUND[short.matmul_dtype])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_rows_that_stay_in_shared_memory_give_the_bits_of_those_in_registers(
    short: Helios, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(1, 2, 70, 75, 16)
    want = run(short, setup, setup.draw())
    monkeypatch.setattr(attention, "_FEW_NUMBERS", 8)
    for mine, right in zip(run(short, setup, setup.draw()), want, strict=True):
        np.testing.assert_array_equal(mine, right)


def test_the_future_has_no_influence(short: Helios) -> None:
    arrays = Setup(1, 2, 70, 70, 16).draw()
    before = short.download(short.attention(*(stored(short, array) for array in arrays[:3]))[0])
    arrays[1][:, :, 41:], arrays[2][:, :, 41:] = np.nan, 7.0
    after = short.download(short.attention(*(stored(short, array) for array in arrays[:3]))[0])
    assert before[:, :, :41].tobytes() == after[:, :, :41].tobytes()
    assert np.isnan(after[:, :, 41:]).all()


def test_larger_scores_later_scale_what_was_summed(short: Helios) -> None:
    """Keys grow along the sequence, so that each block exceeds the ones before by far."""
    setup = Setup(1, 1, 200, 200, 16)
    query, key, value, grad = setup.draw()
    key *= np.linspace(0.1, 30, 200, dtype=np.float32)[:, None]
    rounded = [short.download(stored(short, array)).astype(np.float64) for array in (query, key, value, grad)]
    want = setup.run(CpuRef(), rounded)[:2]
    assert_near(run(short, setup, [query, key, value, grad])[:2], want, BOUND[short.matmul_dtype])
