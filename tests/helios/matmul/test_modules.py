"""The modules of products are valid, and keep within what small devices have."""

import math
from collections.abc import Iterator
from itertools import product

import pytest
from tests.helios.spirv.tools import judge

from alpha_core.dtype import DType
from alpha_core.expression import X, sigmoid
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import Buffer, View, row_major
from alpha_core.tensor import Tensor
from alpha_helios.compiler import build_kernel
from alpha_helios.kernels.finish import Finish
from alpha_helios.kernels.gemv import gemv, widths
from alpha_helios.kernels.matmul import add_parts, gemm
from alpha_helios.kernels.tile import TILES, Side
from alpha_helios.product import Problem, Task
from alpha_helios.variants import variants
from alpha_helios.vulkan.null_device import NULL_MINIMUM

FINISHES = (
    Finish(),
    Finish(out="bf16", product="bf16", bias="f16", biased="bf16", residual="f32"),
    Finish(add=True, product="f16"),
    Finish(scale="f32", bias="f32", expression=X * sigmoid(X), activated="bf16"),
)


def _specs() -> Iterator[KernelSpec]:
    for tile, along, lanes in product(TILES, ("inner", "lines"), (1, 4)):
        left, right = Side("f32", along, lanes, "bf16", near=lanes == 4), Side("i8", "inner", lanes, "i8")
        yield KernelSpec.of(
            gemm,
            tile=tile,
            left=left,
            right=right,
            finish=FINISHES[lanes == 4 and along == "inner"],
            lanes=lanes,
            ragged=lanes == 1,
            parts=along == "inner",
            unrolled=lanes == 4,
            workgroup=TILES[tile].invocations,
        )
    for stored, rows, finish in (("f32", 1, FINISHES[3]), ("bf16", 4, FINISHES[1]), ("i8", 16, FINISHES[2])):
        for width, subgroup in zip(widths(stored), (32, None, 32), strict=False):
            left, right = Side("f16", "inner", min(width, 4), "f16"), Side(stored, "inner", width, stored)
            sizes = {"rows": rows, "streams": 32 // max(rows, 8), "team": 16, "workgroup": 128, "subgroup": subgroup}
            yield KernelSpec.of(gemv, left=left, right=right, finish=finish, **sizes)
    for finish, lanes in product(FINISHES, (1, 4)):
        yield KernelSpec.of(add_parts, finish=finish, lanes=lanes, workgroup=256)


@pytest.mark.parametrize("spec", list(_specs()), ids=lambda spec: spec.name)
def test_modules_are_valid(spec: KernelSpec) -> None:
    binary = build_kernel(spec)
    judge(binary.code)
    assert binary.shared_bytes <= 32 << 10


def test_products_keep_within_the_limits_of_the_smallest_devices() -> None:
    def tensor(*shape: int) -> Tensor:
        return Tensor(shape, DType.f32, View(Buffer(0), row_major(shape)))

    for rows, inner, columns in ((1, 64, 64), (64, 8192, 64), (2048, 2048, 2048)):
        problem = Problem.of(tensor(rows, inner), tensor(columns, inner), False, True, (rows, columns))
        task = Task(problem, tensor(rows, columns), lambda shape, dtype: tensor(*shape))
        found = variants(task, NULL_MINIMUM)
        assert found
        for launch in (launch for variant in found for launch in variant.launches(task)):
            binary = build_kernel(launch.spec)
            assert math.prod(binary.workgroup) <= NULL_MINIMUM.limits.max_workgroup_invocations
            assert binary.shared_bytes <= NULL_MINIMUM.limits.shared_memory
            assert "subgroupSizeControl" not in binary.requirements


@pytest.mark.parametrize("name", TILES)
def test_tiles_are_divided_without_rest(name: str) -> None:
    tile = TILES[name]
    assert name == f"{tile.rows}x{tile.columns}x{tile.depth}"
    assert tile.invocations % 32 == 0
    for width in (tile.rows, tile.columns):
        assert width * tile.depth // 4 % tile.invocations == 0
