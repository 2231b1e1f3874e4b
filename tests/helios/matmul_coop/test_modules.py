"""The modules of products by cooperative matrices are valid, and ask for nothing that the rule does not look at."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from tests.helios.kernels import scale
from tests.helios.spirv.tools import judge, with_halves

from alpha_core.expression import X, sigmoid
from alpha_core.file_cache import FileCache
from alpha_core.recording.launch import KernelSpec
from alpha_helios.compiler import Compiler, build_kernel
from alpha_helios.coop import BY_ELEMENT, component_features
from alpha_helios.coop2 import TENSOR_FEATURES
from alpha_helios.kernels.coop_tile import COOP_TILES
from alpha_helios.kernels.finish import Finish
from alpha_helios.kernels.matmul_coop import Fragment, gemm_coop
from alpha_helios.kernels.matmul_coop2 import TENSOR_TILES, gemm_coop2
from alpha_helios.kernels.tile import Side
from alpha_helios.vulkan.null_device import NullDevice

FRAGMENTS = (Fragment(16, 16, 16), Fragment(16, 8, 16), Fragment(8, 8, 16), Fragment(8, 16, 16))
EVERYWHERE = {"bufferDeviceAddress", "shaderInt64", "subgroupBasic"}
"""On a device that the backend takes."""
FINISHES = (
    Finish(),
    Finish(out="bf16", product="bf16", bias="f16", biased="bf16", residual="f32"),
    Finish(add=True, product="f16"),
    Finish(scale="f32", bias="f32", expression=X * sigmoid(X), activated="bf16"),
)


def _fragment(tile: str, number: int) -> Fragment:
    """Returns a product that the parts of a tile consist of: the one with a number, or one of 8 by 8."""
    shape, one = COOP_TILES[tile], FRAGMENTS[number % len(FRAGMENTS)]
    return one if shape.high % one.m == 0 and shape.wide % one.n == 0 else Fragment(8, 8, 8)


def _staged() -> Iterator[KernelSpec]:
    for number, (tile, factor, along) in enumerate(product(COOP_TILES, ("f16", "bf16"), ("inner", "lines"))):
        lanes = (8, 4, 1)[number % 3]
        yield KernelSpec.of(
            gemm_coop,
            tile=tile,
            fragment=_fragment(tile, number),
            left=Side(("f32", factor)[number % 2], along, lanes, factor, near=lanes > 1),
            right=Side((factor, "i8", "f32")[number % 3], "inner", (1, 8, 4)[number % 3], factor),
            finish=FINISHES[number // 2 % len(FINISHES)],
            lanes=(1, 4)[number % 2],
            ragged=number % 3 > 0,
            parts=number % 5 == 0,
            by_element=number % 4 > 1,
            turned=number % 3 == 1,
            workgroup=COOP_TILES[tile].subgroups * 32,
            subgroup=32,
        )


def _of_tensors() -> Iterator[KernelSpec]:
    sides = (("inner", "inner"), ("inner", "lines"), ("lines", "inner"), ("lines", "lines"))
    rounded = Finish(out="f16", product="f16")
    ways = [(Finish(), True, "f16"), (Finish(), True, "bf16"), (rounded, True, "f16")]
    ways += [(finish, False, factor) for finish, factor in product(FINISHES, ("f16", "bf16"))]
    for number, (finish, whole, factor) in enumerate(ways):
        tile = list(TENSOR_TILES)[number % len(TENSOR_TILES)]
        left, right = (Side(factor, along, (8, 4, 1)[number % 3], factor) for along in sides[number % len(sides)])
        yield KernelSpec.of(
            gemm_coop2,
            tile=tile,
            left=left,
            right=right,
            finish=finish,
            clamped=number % 2 > 0,
            whole=whole,
            parts=number % 3 == 0,
            workgroup=TENSOR_TILES[tile].invocations,
            subgroup=32,
        )


@pytest.mark.parametrize("spec", [*_staged(), *_of_tensors()], ids=lambda spec: spec.name)
def test_modules_are_valid(spec: KernelSpec) -> None:
    judge(with_halves(build_kernel(spec).code))


@pytest.mark.parametrize("spec", [*_staged(), *_of_tensors()], ids=lambda spec: spec.name)
def test_the_rule_knows_what_modules_require(spec: KernelSpec) -> None:
    parameters, binary = dict(spec.parameters), build_kernel(spec)
    known = component_features(parameters["left"].rounded) | EVERYWHERE | {"storageBuffer8BitAccess", "shaderInt8"}
    if spec.build is gemm_coop2:
        known |= set(TENSOR_FEATURES)
    elif parameters["by_element"]:
        known |= {BY_ELEMENT}
    assert binary.requirements <= known
    assert binary.full_subgroups
    (one,) = binary.products
    assert one.accumulator.bits == 32


@pytest.mark.parametrize("name", COOP_TILES)
@pytest.mark.parametrize("along", list(product(("inner", "lines"), repeat=2)), ids=str)
def test_shared_memory_is_what_tiles_say(name: str, along: tuple[str, str]) -> None:
    tile = COOP_TILES[name]
    assert name.startswith(f"{tile.rows}x{tile.columns}x{tile.depth}")
    sides = [Side("f16", direction, 8, "f16") for direction in along]
    spec = KernelSpec.of(
        gemm_coop,
        tile=name,
        fragment=_fragment(name, 0),
        left=sides[0],
        right=sides[1],
        finish=Finish(),
        lanes=4,
        ragged=False,
        parts=False,
        by_element=False,
        turned=False,
        workgroup=tile.subgroups * 32,
        subgroup=32,
    )
    assert build_kernel(spec).shared_bytes == tile.shared_bytes(along, 16)


@pytest.mark.parametrize(("workgroup", "subgroup", "full"), [(64, 32, True), (48, 32, False), (64, None, False)])
def test_full_subgroups_are_asked_for_where_sizes_allow_them(
    workgroup: int, subgroup: int | None, full: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device, asked = NullDevice(), []
    prepare = device.prepare
    monkeypatch.setattr(device, "prepare", lambda modules: asked.extend(modules) or prepare(modules))
    spec = KernelSpec.of(scale, by=2.0, workgroup=workgroup, subgroup=subgroup)
    for _ in range(2):  # built, and read from the cache
        Compiler(device, FileCache("test", tmp_path)).get(spec)
    assert [(module.subgroup_size, module.full_subgroups) for module in asked] == [(subgroup, full)] * 2
