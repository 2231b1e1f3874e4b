"""Every kernel of the matrix product against float64, whatever the rule would pick."""

from contextlib import ExitStack
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, mmap

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helios.effort import THOROUGH, examples
from tests.helios.matmul.products import bound, computed, exact, normal, operands, straddling

from alpha_core.dtype import DType
from alpha_core.recording.storage import View
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.kernels.tile import TILES, Tile
from alpha_helios.product import Epilogue, Problem, Task
from alpha_helios.variants import Streamed, Tiled, Variant, variants
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.null_device import NULL_GPU

flags = st.booleans()


def _check(helios: Helios, variant: Variant, rows: int, inner: int, columns: int, ta: bool, tb: bool) -> None:
    rng = np.random.default_rng(rows * 7919 + inner * 31 + columns)
    a, b = operands(rng, rows, inner, columns, ta, tb)
    result = computed(helios, variant, helios.upload(a), helios.upload(b), ta, tb, (rows, columns))
    difference = np.abs(result - exact(a, b, ta, tb))
    assert (difference <= bound(a, b, ta, tb)).all(), difference.max()


@pytest.mark.parametrize("tile", TILES)
def test_tiles_compute_products_of_every_size(helios: Helios, tile: str) -> None:
    shape = TILES[tile]

    @examples(6)
    @given(
        st.sampled_from(straddling([shape.rows, 2 * shape.rows])),
        st.sampled_from([0, *straddling([shape.depth, 3 * shape.depth])]),
        st.sampled_from(straddling([shape.columns])),
        flags,
        flags,
        flags,
    )
    def check(rows: int, inner: int, columns: int, ta: bool, tb: bool, unrolled: bool) -> None:
        _check(helios, Tiled(tile, unrolled=unrolled), rows, inner, columns, ta, tb)

    check()


@examples(6)
@given(
    st.sampled_from(("32x32x16", "64x64x16")),
    st.integers(2, 9),
    st.sampled_from(straddling([64, 256, 300])),
    flags,
    flags,
)
def test_sums_in_parts_have_all_terms(helios: Helios, tile: str, parts: int, inner: int, ta: bool, tb: bool) -> None:
    _check(helios, Tiled(tile, parts), 35, inner, 36, ta, tb)


@examples(20)
@given(
    st.integers(1, 16),
    st.sampled_from(straddling([32, 256])),
    st.sampled_from(straddling([16, 128])),
    st.sampled_from((1, 2, 4)),
    st.sampled_from((1, 4, 32)),
    flags,
)
def test_few_rows_meet_every_row_of_the_matrix(
    helios: Helios, rows: int, inner: int, columns: int, streams: int, team: int, by_shuffles: bool
) -> None:
    size = helios.info.subgroup_size
    variant = Streamed(streams, min(team, size), size) if by_shuffles else Streamed(streams, team, None)
    _check(helios, variant, rows, max(inner, 2), columns, False, True)


@pytest.mark.parametrize("rows", [17, 300])
def test_a_column_is_a_row_of_the_transposed_product(helios: Helios, rows: int) -> None:
    _check(helios, Streamed(2, 4, None), rows, 100, 1, False, True)
    _check(helios, Streamed(2, 4, None), rows, 100, 1, False, False)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("variant", [*map(Tiled, TILES), Tiled("32x32x16", 3), Streamed(2, 4, None)], ids=str)
def test_a_number_that_is_not_finite_reaches_its_row_and_no_other(
    helios: Helios, variant: Variant, value: float
) -> None:
    rng = np.random.default_rng(0)
    rows = 9 if isinstance(variant, Streamed) else 133
    a, b = normal(rng, rows, 97), normal(rng, 70, 97)
    b[:, 96] = np.where(np.arange(70) % 2, b[:, 96], 0)  # infinity times 0 is NaN
    a[7, 96] = value
    result = computed(helios, variant, helios.upload(a), helios.upload(b), False, True, (rows, 70))
    finite = np.isfinite(result)
    assert not finite[7].any()
    assert np.delete(finite, 7, axis=0).all()
    assert np.isnan(result[7, ::2]).all()


def test_infinities_in_the_last_line_do_not_spread_where_tiles_end(helios: Helios) -> None:
    rng = np.random.default_rng(0)
    a, b = normal(rng, 33, 33), normal(rng, 33, 33)
    a[-1], b[:, -1] = np.inf, -np.inf
    for tile in TILES:
        result = computed(helios, Tiled(tile), helios.upload(a), helios.upload(b), False, False, (33, 33))
        assert np.isfinite(result[:-1, :-1]).all()
        assert not np.isfinite(result[-1]).any()
        assert not np.isfinite(result[:, -1]).any()


def test_extreme_numbers_overflow_and_vanish_as_in_ieee(helios: Helios) -> None:
    large, tiny = np.float32(3e38), np.float32(1e-38)
    a = np.array([[large, large], [large, -large], [tiny, tiny], [1.0, 2.0]], np.float32)
    b = np.ones((5, 2), np.float32)
    b[1] = 1e-30
    for variant in (Tiled("32x32x16"), Streamed(1, 1, None)):
        result = computed(helios, variant, helios.upload(a), helios.upload(b), False, True, (4, 5))
        assert np.isposinf(result[0, 0])
        assert result[1, 0] == 0
        assert 0 <= result[2, 1] < 1e-37
        assert result[3, 0] == 3


@pytest.mark.parametrize("turned", [False, True])
def test_tiles_give_the_same_bits(helios: Helios, turned: bool) -> None:
    a, b = operands(np.random.default_rng(0), 140, 70, 40, turned, not turned)
    left, right = helios.upload(a), helios.upload(b)
    ways = (False, True) if THOROUGH else (False,)
    tiles = [Tiled(tile, unrolled=unrolled) for tile in TILES for unrolled in ways]
    results = {computed(helios, tile, left, right, turned, not turned, (140, 40)).tobytes() for tile in tiles}
    assert len(results) == 1


def test_elements_four_billion_apart_are_found(helios: Helios) -> None:
    rng = np.random.default_rng(0)
    first = helios.allocate(64)
    allocated, apart = [], 0
    with ExitStack() as reserved:  # addresses that nobody else gets meanwhile; a gap between others may take the first
        while len(allocated) < 4 and abs(apart) <= 1 << 32:
            reserved.enter_context(mmap(-1, 5 << 30, MAP_PRIVATE | MAP_ANONYMOUS, PROT_READ))
            allocated.append(helios.allocate(300 << 20))
            apart = allocated[-1].memory.address - first.memory.address
    second = allocated[-1]
    if abs(apart) <= 1 << 32:  # a device that counts addresses by itself also has the memory for one large buffer
        first = second = helios.allocate((1 << 32) + 4096)
        apart = (1 << 32) + 1024
    weight, x = rng.integers(-127, 128, (2, 40)).astype(np.int8), normal(rng, 5, 40)
    for row, (buffer, offset) in enumerate(((first, 0), (second, apart if first is second else 0))):
        uploaded = helios.upload(weight[row])
        helios.assign(Tensor((40,), DType.i8, View(buffer, (1,), offset)), uploaded)
    matrix = Tensor((2, 40), DType.i8, View(first, (apart, 1)))
    for variant in (Tiled("32x32x16"), Streamed(2, 4, None)):
        result = computed(helios, variant, helios.upload(x), matrix, False, True, (5, 2))
        np.testing.assert_allclose(result, exact(x, weight, transpose_b=True), rtol=1e-5)


def test_the_rule_divides_long_sums_only_where_there_are_few_tiles(helios: Helios) -> None:
    def picked(rows: int, inner: int, columns: int) -> Variant:
        a, b = helios.empty((inner, rows)), helios.empty((inner, columns))
        out = helios.empty((rows, columns))
        task = Task(Problem.of(a, b, True, False, out.shape), out, helios.empty, epilogue=Epilogue())
        return variants(task, helios.info)[0]

    small, large = picked(64, 8192, 64), picked(512, 512, 512)
    assert isinstance(small, Tiled)
    assert isinstance(large, Tiled)
    assert small.parts > 1
    assert large.parts == 1


def test_the_rule_reads_more_rows_side_by_side_where_there_are_enough_for_all_processors(helios: Helios) -> None:
    def picked(rows: int, inner: int, columns: int) -> Variant:
        a, b, out = helios.empty((rows, inner)), helios.empty((columns, inner)), helios.empty((rows, columns))
        return variants(Task(Problem.of(a, b, False, True, out.shape), out, helios.empty), helios.info)[0]

    few, many = picked(1, 256, 8), picked(1, 256, 8192)
    assert isinstance(few, Streamed)
    assert isinstance(many, Streamed)
    assert few.streams < many.streams
    assert isinstance(picked(64, 256, 256), Tiled)


def test_the_rule_minds_registers_compilers_and_shared_memory(helios: Helios) -> None:
    out = helios.empty((2048, 2048))
    task = Task(Problem.of(out, out, False, True, out.shape), out, helios.empty)

    def picked(info: DeviceInfo) -> Tile:
        variant = variants(task, info)[0]
        assert isinstance(variant, Tiled)
        return TILES[variant.tile]

    other, intel = (attrs.evolve(NULL_GPU, vendor_id=vendor) for vendor in (0x10DE, 0x8086))
    small = attrs.evolve(other, limits=attrs.evolve(other.limits, shared_memory=16 << 10))
    assert picked(other).high * picked(other).wide == 64
    assert picked(intel).high * picked(intel).wide == 32
    processor = picked(attrs.evolve(other, kind="cpu"))
    assert processor.high * processor.wide <= 16  # its compiler takes long over more
    assert picked(small).shared_bytes <= 16 << 10
