"""Products by matrices on devices that are imagined, beside float64."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.effort import THOROUGH
from tests.helios.machine.imagined import IMAGINED, imagined
from tests.helios.matmul.products import Array, bound, exact, normal, operands, rounded, stored_as

from alpha_core.dtype import DType
from alpha_core.expression import X, coefficient, sigmoid
from alpha_core.recording.storage import view_of
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.coop import CoopTiled, coop_variants, fragments
from alpha_helios.coop2 import TensorTiled, tensor_variants
from alpha_helios.kernels.coop_tile import COOP_TILES
from alpha_helios.kernels.matmul_coop2 import TENSOR_TILES
from alpha_helios.product import Epilogue, Problem, Task
from alpha_helios.variants import Variant

HALF = {DType.f16: 2.0**-11, DType.bf16: 2.0**-8, DType.f32: 2.0**-24}
"""What rounding to a dtype changes at most, as a share of a number."""
ACTIVATION = X * sigmoid(coefficient("slope", 1.0) * X)
factors = pytest.mark.parametrize("dtype", [DType.f16, DType.bf16], ids=str)
transposed = pytest.mark.parametrize("ways", [(False, False), (False, True), (True, False), (True, True)], ids=str)


def computed(helios: Helios, variant: Variant, task: Task) -> Array:
    for one in variant.launches(task):
        helios.run(one)
    return helios.download(task.out)


def made(helios: Helios, shape: tuple[int, ...], dtype: DType) -> Tensor:
    """A tensor with undefined contents, stored in a dtype."""
    before, helios.matmul_dtype = helios.matmul_dtype, dtype
    try:
        return helios.activation(shape)
    finally:
        helios.matmul_dtype = before


def problem(a: Tensor, b: Tensor, ways: tuple[bool, bool], shape: tuple[int, ...]) -> Problem:
    return Problem.of(a, b, *ways, shape)


# Matrices of workgroups, which the device itself brings from memory


@transposed
@factors
@pytest.mark.parametrize("tile", TENSOR_TILES)
def test_blocks_of_tensors(tile: str, dtype: DType, ways: tuple[bool, bool]) -> None:
    helios, block = imagined("tensors"), TENSOR_TILES[tile]
    sizes = [
        (block.rows, block.depth * 2, block.columns),  # no edge is crossed
        (block.rows // 2 - 3, block.depth + 1, block.columns // 2 + 7),
        (block.rows + 8, 8, block.columns + 8),  # blocks that end at multiples of 16 bytes
    ]
    for rows, inner, columns in sizes if THOROUGH or dtype is DType.f16 else sizes[1:2]:
        a, b = operands(np.random.default_rng(rows + inner), rows, inner, columns, *ways)
        left, right = (stored_as(helios, one, dtype) for one in (a, b))
        task = Task(
            problem(left, right, ways, (rows, columns)), helios.empty((rows, columns)), helios.empty, dtype.value
        )
        got = computed(helios, TensorTiled(tile, True, 32), task)
        a, b = rounded(a, dtype), rounded(b, dtype)
        assert (np.abs(got - exact(a, b, *ways)) <= bound(a, b, *ways)).all(), (rows, inner, columns)


@pytest.mark.parametrize("ways", [(False, False), (True, True)], ids=str)
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("sizes", [(3, 24, 200, 40), (2, 5, 136, 8), (3, 5, 136, 7), (2, 1, 72, 8)], ids=str)
def test_batches_and_parts(sizes: tuple[int, ...], parts: int, ways: tuple[bool, bool]) -> None:
    """Of these, results of 5 x 7 do not begin at multiples of 16 bytes, nor do operands of 5 columns."""
    helios, (batch, rows, inner, columns) = imagined("tensors"), sizes
    rng = np.random.default_rng(rows)
    drawn = [operands(rng, rows, inner, columns, *ways) for _ in range(batch)]
    a, b = np.stack([one for one, _ in drawn]), np.stack([one for _, one in drawn])
    left, right = (stored_as(helios, one, DType.f16) for one in (a, b))
    shape = (batch, rows, columns)
    task = Task(problem(left, right, ways, shape), helios.empty(shape), helios.empty, "f16")
    able = [one for one in tensor_variants(task, helios.info) if isinstance(one, TensorTiled)]
    assert bool(able) == all(size % 8 == 0 for size in (rows * inner, inner * columns))
    if able:
        got = computed(helios, attrs.evolve(able[-1], parts=parts), task)
        a, b = rounded(a, DType.f16), rounded(b, DType.f16)
        assert (np.abs(got - exact(a, b, *ways)) <= bound(a, b, *ways)).all()


def test_rows_that_overlap_are_left_to_others() -> None:
    helios = imagined("tensors")
    row = stored_as(helios, normal(np.random.default_rng(0), 1, 64), DType.f16)
    b = stored_as(helios, normal(np.random.default_rng(1), 64, 64), DType.f16)
    a = Tensor((64, 64), DType.f32, attrs.evolve(view_of(row), strides=(0, 1)))
    task = Task(problem(a, b, (False, False), (64, 64)), helios.empty((64, 64)), helios.empty, "f16")
    assert not tensor_variants(task, helios.info)


@pytest.mark.parametrize("stored", [DType.f16, DType.bf16, DType.f32], ids=str)
@pytest.mark.parametrize("halves", [False, True], ids=["f32 sums", "f16 sums"])
@pytest.mark.parametrize("columns", [64, 70])
def test_results_are_rounded_once(stored: DType, halves: bool, columns: int) -> None:
    helios, dtype = imagined("tensors"), DType.bf16 if stored is DType.bf16 else DType.f16
    a, b = operands(np.random.default_rng(0), 72, 40, columns, False, False)
    left, right = (stored_as(helios, one, dtype) for one in (a, b))
    out = made(helios, (72, columns), stored)
    task = Task(
        problem(left, right, (False, False), (72, columns)),
        out,
        helios.empty,
        dtype.value,
        epilogue=Epilogue(product=stored.value),
    )
    got = computed(helios, TensorTiled("64x64x64", halves, 32), task)
    a, b = rounded(a, dtype), rounded(b, dtype)
    want = exact(a, b)
    assert (np.abs(got - want) <= bound(a, b) + HALF[stored] * np.abs(want) + 1e-7).all()


# What is done with sums


@attrs.frozen
class Finished:
    """A product with all that can follow it, as tensors and as numbers."""

    task: Task
    sums: Any
    slack: Any
    parts: dict[str, Array]

    def check(self, helios: Helios, variant: Variant, kept: DType) -> None:
        got = computed(helios, variant, self.task)
        want, epilogue, slack = self.sums, self.task.epilogue, self.slack
        if epilogue.scale is not None:
            want, slack = want * self.parts["scale"], slack * np.abs(self.parts["scale"])
        slack = slack + 2 * HALF[kept] * np.abs(want) + 1e-6
        biased = want + self.parts["bias"] if epilogue.bias is not None else want
        if epilogue.activated is not None:
            active = biased / (1 + np.exp(-biased * self.parts["slope"]))
            difference = np.abs(helios.download(epilogue.activated) - active)
            assert (difference <= 2 * slack + 2 * HALF[kept] * np.abs(active)).all(), difference.max()
            biased = want
        slack = slack + 2 * HALF[kept] * np.abs(biased)
        if epilogue.residual is not None:
            biased = biased + self.parts["residual"]
        difference = np.abs(got - biased)
        assert (difference <= slack + 2 * HALF[kept] * np.abs(biased)).all(), difference.max()


EPILOGUES = ("bias", "bias residual", "residual", "scale bias", "activation", "bias activation")


def finished(helios: Helios, dtype: DType, kept: DType, what: str, sizes: Sequence[int]) -> Finished:
    """A product stored in `kept`, with some of: a scale, a bias, a residual, an activation."""
    rows, inner, columns = sizes
    rng, shape = np.random.default_rng(0), (rows, columns)
    a, b = operands(rng, rows, inner, columns, False, True)
    names = {"scale": (columns,), "bias": (columns,), "slope": (columns,), "residual": shape}
    parts = {name: normal(rng, *lengths) for name, lengths in names.items()}
    given = {name: helios.upload(one) for name, one in parts.items()}
    residual = stored_as(helios, parts["residual"], kept) if kept is not DType.f32 else given["residual"]
    parts["residual"] = helios.download(residual)
    epilogue = Epilogue(
        product=kept.value,
        biased=kept.value,
        scale=given["scale"] if "scale" in what else None,
        bias=given["bias"] if "bias" in what else None,
        residual=residual if "residual" in what else None,
        expression=ACTIVATION if "activation" in what else None,
        coefficients=(given["slope"],) if "activation" in what else (),
        activated=made(helios, shape, kept) if "activation" in what else None,
    )
    left, right = (stored_as(helios, one, dtype) for one in (a, b))
    out = made(helios, shape, kept)
    task = Task(problem(left, right, (False, True), shape), out, helios.empty, dtype.value, epilogue=epilogue)
    a, b = rounded(a, dtype), rounded(b, dtype)
    return Finished(task, exact(a, b, transpose_b=True), bound(a, b, transpose_b=True), parts)


@pytest.mark.parametrize("number", range(len(EPILOGUES)))
def test_what_follows_is_done_at_once(number: int) -> None:
    helios, dtype = imagined("tensors"), (DType.f16, DType.bf16)[number % 2]
    for place, kept in enumerate((DType.f32, dtype)):
        tile = list(TENSOR_TILES)[(number + place) % len(TENSOR_TILES)]
        for parts in (1, 2) if place else (1,):
            product = finished(helios, dtype, kept, EPILOGUES[number], (70, 130, 72 + place * 3))
            product.check(helios, TensorTiled(tile, True, 32, parts), kept)
        for by_element in (False, True):
            product = finished(helios, dtype, kept, EPILOGUES[number], (41, 70, 44 + (number + by_element) % 2))
            variant = _staged(product.task, helios, "32x32x32")
            assert variant is not None
            product.check(helios, attrs.evolve(variant, by_element=by_element), kept)


@pytest.mark.parametrize("rounds", [DType.f32, DType.bf16], ids=str)
@pytest.mark.parametrize("columns", [72, 75])
def test_gradients_are_added_to_once(rounds: DType, columns: int) -> None:
    """A device may call a function of an element more than once."""
    helios, rng = imagined("tensors"), np.random.default_rng(0)
    a, b = operands(rng, 70, 40, columns, True, False)
    start = normal(rng, 70, columns)
    left, right = (stored_as(helios, one, DType.bf16) for one in (a, b))
    task = Task(
        problem(left, right, (True, False), (70, columns)),
        made(helios, (70, columns), rounds),
        helios.empty,
        "bf16",
        epilogue=Epilogue(product=rounds.value),
    )
    staged = next(one for one in coop_variants(task, helios.info) if isinstance(one, CoopTiled))
    a, b = rounded(a, DType.bf16), rounded(b, DType.bf16)
    want = exact(a, b, transpose_a=True)
    ways = [TensorTiled("64x64x64", True, 32, parts) for parts in (1, 2)]
    for variant in (*ways, *(attrs.evolve(staged, by_element=element) for element in (False, True))):
        *first, last = variant.launches(task)
        total = helios.upload(start)
        assert last.into is not None
        adding = last.into(total)
        assert adding is not None
        for one in (*first, adding):
            helios.run(one)
        slack = bound(a, b, True, False) + 2 * HALF[rounds] * np.abs(want) + 1e-6
        assert (np.abs(helios.download(total) - start - want) <= slack).all(), variant


# Matrices of subgroups, which pass through shared memory


def _fitting() -> list[tuple[str, str]]:
    """Devices with the tiles that they take, in one direction of operands at least."""
    found = []
    for name, info in IMAGINED.items():
        helios, taken = imagined(name), set()
        for transpose_b in (False, True):
            task = Task(
                problem(helios.empty((512, 512)), helios.empty((512, 512)), (False, transpose_b), (512, 512)),
                helios.empty((512, 512)),
                helios.empty,
                "f16",
            )
            taken |= {one.tile for one in coop_variants(task, info) if isinstance(one, CoopTiled)}
        tiles = [tile for tile in COOP_TILES if tile in taken]
        few = name in ("waves of 32", "narrow") and not THOROUGH  # others have such waves, or such fragments
        found += [(name, tile) for tile in (tiles[1::3] if few else tiles)]
    return found


def _staged(task: Task, helios: Helios, tile: str) -> CoopTiled | None:
    found = (one for one in coop_variants(task, helios.info) if isinstance(one, CoopTiled) and one.tile == tile)
    variant = next(found, None)
    return variant and attrs.evolve(variant, parts=1, by_element=False)


@pytest.mark.parametrize("number", range(len(_fitting())))
def test_blocks_in_shared_memory(number: int) -> None:
    device, tile = _fitting()[number]
    helios, block, done = imagined(device), COOP_TILES[tile], 0
    ways = [(False, True), (True, False), (False, False), (True, True)]
    for turn in range(number, number + len(ways)):
        dtype = (DType.f16, DType.bf16)[turn % 2]
        rows, inner, columns = block.rows // 2 + 3, block.depth * (1 + turn % 3) + 5, block.columns // 2 + 7
        if turn % 3 == 0:
            rows, inner, columns = block.rows + 8, block.depth * 2, block.columns // 2 + 8
        way, shape = ways[turn % len(ways)], (rows, columns)
        a, b = operands(np.random.default_rng(number), rows, inner, columns, *way)
        # Operands stored in f32 are rounded on their way.
        left, right = (helios.upload(one) if turn % 2 else stored_as(helios, one, dtype) for one in (a, b))
        task = Task(problem(left, right, way, shape), helios.empty(shape), helios.empty, dtype.value)
        variant = _staged(task, helios, tile)
        if variant is None:  # it takes the tile in other directions of the operands
            continue
        assert variant.fragment == fragments(helios.info, dtype.value)[0]
        a, b = rounded(a, dtype), rounded(b, dtype)
        got = computed(helios, variant, task)
        assert (np.abs(got - exact(a, b, *way)) <= bound(a, b, *way)).all(), (way, rows, inner, columns)
        done += 1
        if not THOROUGH:
            break
    assert done
