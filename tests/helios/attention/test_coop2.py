"""Attention whose scores stay in cooperative matrices, beside float64 on rounded operands."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from tests.helios.attention.setups import Array, Setup, stored
from tests.helios.attention.test_coop import BOUND, assert_near, kernels_of, offered
from tests.helios.effort import THOROUGH
from tests.helios.recording import launches_of

from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from alpha_helios.attention import IN_PLACE_FEATURES, MatrixBlocks
from alpha_helios.backend import Helios
from alpha_helios.coop import fragments
from alpha_helios.kernels import attention_coop2
from alpha_helios.kernels.attention_panel import PanelTile
from alpha_helios.ops import attention as attention_ops
from alpha_tensor.cpu_ref.backend import CpuRef

SETUPS = [
    Setup(1, 2, 64, 64, 16),
    Setup(2, 1, 129, 129, 16),
    Setup(1, 3, 5, 70, 16, soft_cap=1.5),
    Setup(2, 2, 33, 101, 24, rate=0.3),
    Setup(2, 1, 63, 64, 16, rate=0.5),
    Setup(1, 1, 1, 1, 3),
    Setup(1, 2, 31, 50, 12, soft_cap=2.0, rate=0.1),
]
if THOROUGH:
    SETUPS += [Setup(2, 1, 129, 129, 32), Setup(1, 1, 40, 45, 64)]


@pytest.fixture
def short(helios: Helios) -> Iterator[Helios]:
    """The backend with products of 16-bit operands, on a device that has what the kernel needs."""
    dtypes = offered(helios)
    if not dtypes or IN_PLACE_FEATURES - helios.info.features:
        pytest.skip("needs a Vulkan device with cooperative matrices and functions of one component")
    helios.set_matmul_dtype(dtypes[0])
    yield helios
    helios.set_matmul_dtype(DType.f32)


def attended(helios: Helios, setup: Setup, tensors: Sequence[Tensor]) -> list[Array]:
    """Returns the result and log_sum_exp."""
    return [helios.download(one) for one in helios.attention(*tensors[:3], *setup.options(helios))]


def exact(setup: Setup, operands: Sequence[Array]) -> list[Array]:
    """Returns what is right for operands as they were rounded."""
    reference = CpuRef()
    tensors = [reference.upload(one.astype(np.float64)) for one in operands[:3]]
    return [reference.download(one) for one in reference.attention(*tensors, *setup.options(reference))]


def rounded(helios: Helios, arrays: Sequence[Array]) -> list[Array]:
    return [helios.download(stored(helios, array)) for array in arrays]


def forced(
    helios: Helios, monkeypatch: pytest.MonkeyPatch, subgroups: int, high: int, columns: int, nearest: bool = False
) -> MatrixBlocks:
    """Has every call take one tile."""
    dtype = helios.matmul_dtype.value
    tile = PanelTile(fragments(helios.info, dtype)[0], helios.info.subgroup_size, subgroups, high, columns)
    way = MatrixBlocks(tile, dtype, unrolled=False, in_place=True, nearest=nearest)
    monkeypatch.setattr(attention_ops, "ways", lambda info, dtype, call, part: [way])
    return way


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_the_rule_takes_it_and_its_results_are_right(
    setup: Setup, short: Helios, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, arrays = kernels_of(short, monkeypatch), setup.draw()[:3]
    for dtype in offered(short):
        short.set_matmul_dtype(dtype)
        operands = rounded(short, arrays)
        tensors = [stored(short, array) for array in arrays]
        built.clear()
        got = attended(short, setup, tensors)
        assert [name for name in built if "attention" in name] == ["attention_coop2"]
        assert_near(got, exact(setup, operands), BOUND[dtype])


def test_without_the_path_scores_go_through_shared_memory(short: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    built, setup = kernels_of(short, monkeypatch), SETUPS[0]
    tensors = [stored(short, array) for array in setup.draw()]
    in_place = attended(short, setup, tensors)
    with short.paths.only("coop"):
        through_memory = attended(short, setup, tensors)
    assert [name for name in built if "attention" in name] == ["attention_coop2", "attention_coop"]
    assert_near(in_place, through_memory, 2 * BOUND[short.matmul_dtype])


@pytest.mark.parametrize(("subgroups", "high", "columns"), [(1, 1, 8), (4, 1, 32), (2, 2, 16), (4, 2, 8)])
def test_every_kind_of_tile(
    subgroups: int, high: int, columns: int, short: Helios, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one matrix of scores and of several, in both directions; more of them take lavapipe long to compile."""
    setup = Setup(1, 2, 70, 75, 16, soft_cap=3.0, rate=0.25)
    unit = fragments(short.info, short.matmul_dtype.value)[0].n
    forced(short, monkeypatch, subgroups, high, columns * unit // 8)
    arrays = setup.draw()
    tensors = [stored(short, array) for array in arrays]
    first, second = (attended(short, setup, tensors) for _ in range(2))
    assert_near(first, exact(setup, rounded(short, arrays)), BOUND[short.matmul_dtype])
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("queries", [31, 32, 33])
@pytest.mark.parametrize("older", [0, 7, 8, 9])
def test_sizes_around_the_limits_of_blocks(
    queries: int, older: int, short: Helios, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = forced(short, monkeypatch, 4, 1, fragments(short.info, short.matmul_dtype.value)[0].n)
    setup = Setup(1, 1, queries * way.rows // 32, queries * way.rows // 32 + older, 8)
    arrays = setup.draw()
    got = attended(short, setup, [stored(short, array) for array in arrays])
    assert_near(got, exact(setup, rounded(short, arrays)), BOUND[short.matmul_dtype])


def test_dropout_drops_the_elements_of_the_reference(short: Helios) -> None:
    """For all places of a row in the blocks of four that a counter gives: with 45 keys, rows begin anywhere in them."""
    setup = Setup(2, 3, 37, 45, 48, rate=0.25)
    query, key, _, _ = setup.draw()
    # With unit vectors as values, the result is the matrix of weights.
    value = np.ascontiguousarray(np.broadcast_to(np.eye(45, 48, dtype=np.float32), (2, 3, 45, 48)))
    arrays = [query * 0, key, value]
    weights, _ = attended(short, setup, [stored(short, array) for array in arrays])
    want, _ = exact(setup, arrays)
    np.testing.assert_array_equal(weights == 0, want == 0)
    assert (want[:, :, :, :37] == 0).any()


def test_a_device_can_round_weights_itself(short: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    if "shaderRoundingModeRTEFloat16" not in short.info.features:
        pytest.skip("needs a Vulkan device with cooperative matrices that can be told how to round to f16")
    short.set_matmul_dtype(DType.f16)
    forced(short, monkeypatch, 1, 1, fragments(short.info, "f16")[0].n, nearest=True)
    setup = Setup(1, 2, 70, 75, 16, rate=0.25)
    arrays = setup.draw()
    got = attended(short, setup, [stored(short, array) for array in arrays])
    assert_near(got, exact(setup, rounded(short, arrays)), BOUND[DType.f16])


def test_the_future_has_no_influence(short: Helios) -> None:
    setup = Setup(1, 2, 70, 70, 16)
    arrays = setup.draw()
    before, _ = attended(short, setup, [stored(short, array) for array in arrays])
    arrays[1][:, :, 41:], arrays[2][:, :, 41:] = np.nan, 7.0
    after, _ = attended(short, setup, [stored(short, array) for array in arrays])
    assert before[:, :, :41].tobytes() == after[:, :, :41].tobytes()
    assert np.isnan(after[:, :, 41:]).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(poison: float, short: Helios) -> None:
    for place in range(3):
        setup = Setup(1, 1, 20, 20, 8)
        arrays = setup.draw()
        arrays[place][0, 0, 3, :] = poison
        if place < 2:  # so that an infinite score is positive
            arrays[1 - place] = np.abs(arrays[1 - place]) * (-1 if poison == -np.inf else 1)
        out, _ = attended(short, setup, [stored(short, array) for array in arrays])
        assert not np.isfinite(out[0, 0, 3]).any()


def test_larger_scores_later_scale_what_was_summed(short: Helios) -> None:
    """Keys grow along the sequence, so that each block exceeds the ones before by far."""
    setup = Setup(1, 1, 200, 200, 16)
    arrays = setup.draw()
    arrays[1] *= np.linspace(0.1, 30, 200, dtype=np.float32)[:, None]
    got = attended(short, setup, [stored(short, array) for array in arrays])
    assert_near(got, exact(setup, rounded(short, arrays)), BOUND[short.matmul_dtype])


def test_heads_are_read_where_a_product_left_them(short: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries, keys and values in one row, as views; and all heads with the keys and values of one."""
    setup, width = Setup(2, 3, 20, 20, 16), 48
    query, key, value, _ = setup.draw()
    joined = np.stack([array.transpose(0, 2, 1, 3) for array in (query, key, value)], 2).reshape(40, 3 * width)
    rows, operands = stored(short, joined), rounded(short, (query, key, value))
    views = [
        short.transpose(short.reshape(short.slice(rows, 1, i * width, (i + 1) * width), (2, 20, 3, 16)), (0, 2, 1, 3))
        for i in range(3)
    ]
    spread = [views[0], *(short.broadcast_to(short.slice(one, 1, 0, 1), (2, 3, 20, 16)) for one in views[1:])]
    shared = [operands[0], *(np.broadcast_to(one[:, :1], one.shape) for one in operands[1:])]
    built, bound = kernels_of(short, monkeypatch), BOUND[short.matmul_dtype]
    assert_near(attended(short, setup, views), exact(setup, operands), bound)
    assert_near(attended(short, setup, spread), exact(setup, shared), bound)
    assert [name for name in built if name != "elementwise"] == ["attention_coop2"] * 2
    assert built[0] == "attention_coop2", "nothing is copied before"


def test_operands_of_32_bits_are_rounded_on_the_way(short: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(1, 2, 40, 45, 12)
    arrays = setup.draw()
    operands, tensors = rounded(short, arrays), [short.upload(array) for array in arrays]
    built = kernels_of(short, monkeypatch)
    assert_near(attended(short, setup, tensors), exact(setup, operands), BOUND[short.matmul_dtype])
    assert built[0] == "attention_coop2"


def test_a_recorded_step_has_the_bits_of_a_call(short: Helios) -> None:
    setup = Setup(2, 2, 33, 40, 16, soft_cap=2.0, rate=0.25)
    arrays = setup.draw()[:3]

    def step(*tensors: Tensor) -> list[Tensor]:
        return [*short.attention(*tensors, *setup.options(short))]

    names = [launch.spec.build.__name__ for launch in launches_of(short, step, *arrays)]
    assert "attention_coop2" in names
    program = short.record(step, arrays, name="attention")
    want = attended(short, setup, [short.upload(array) for array in arrays])
    for tensor, right in zip(program(*arrays), want, strict=True):
        np.testing.assert_array_equal(short.download(tensor), right)


@pytest.mark.usefixtures("short")
def test_a_device_that_converts_matrices_wrongly_does_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    right = attention_coop2._factor
    wrong = lambda k, weights, dtype, *, rounds: right(k, weights * 1.02, dtype, rounds=rounds)  # noqa: E731
    monkeypatch.setattr(attention_coop2, "_factor", wrong)
    monkeypatch.setenv("ALPHA_CACHE", str(tmp_path))
    for variable in ("ALPHA_HELIOS_DISABLE", "ALPHA_FAIL_ON_SMOKE_TEST"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.warns(
        UserWarning, match="fast path `coop2` is off: .* wrong numbers with it: attention with scores in"
    ):
        other = Helios()
    try:
        other.set_matmul_dtype(offered(other)[0])
        setup, built = Setup(1, 1, 20, 20, 16), kernels_of(other, monkeypatch)
        arrays = setup.draw()
        got = attended(other, setup, [stored(other, array) for array in arrays])
        assert [name for name in built if "attention" in name] == ["attention_coop"]
        assert_near(got, exact(setup, rounded(other, arrays)), BOUND[other.matmul_dtype])
    finally:
        other.close()
