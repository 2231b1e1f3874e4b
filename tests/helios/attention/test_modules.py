"""The modules of attention are valid, and keep within what devices have."""

from collections.abc import Iterator
from itertools import product

import attrs
import pytest
from tests.helios.machine.device import program
from tests.helios.machine.values import Matrix, Scalar
from tests.helios.spirv.tools import validate

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import Buffer, View, row_major
from alpha_core.tensor import Tensor
from alpha_helios.attention import (
    FORWARD,
    IN_PLACE_FEATURES,
    OF_KEYS,
    OF_QUERIES,
    AttentionCall,
    MatrixBlocks,
    Part,
    ways,
)
from alpha_helios.compiler import build_kernel
from alpha_helios.fast_paths import Paths
from alpha_helios.kernels.attention_cached import add_attended, cached_attention
from alpha_helios.kernels.attention_coop2 import attention_coop2
from alpha_helios.kernels.attention_grad import attention_rows
from alpha_helios.kernels.attention_panel import PanelTile
from alpha_helios.kernels.attention_tile import TILES
from alpha_helios.kernels.matmul_coop import Fragment
from alpha_helios.kernels.rotary import rotary
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM, NullDevice

PARTS = (FORWARD, OF_QUERIES, OF_KEYS)
FRAGMENTS = (Fragment(16, 16, 16), Fragment(16, 8, 16), Fragment(8, 16, 16), Fragment(8, 8, 8))


def _parameters(width: int, stored: str, options: bool) -> dict[str, object]:
    short = dict.fromkeys(("query", "key", "value"), stored)
    return {"width": width, "soft_cap": options, "dropout": options, "whole": width > 64, **short}


def _stored(part: object, dtype: str) -> dict[str, str]:
    return {"out": dtype} if part is FORWARD else {"results": dtype, "grad": dtype}


def _in_f32() -> Iterator[KernelSpec]:
    for part, (tile, shape), (width, lanes) in product(PARTS, TILES.items(), ((64, 4), (30, 1))):
        yield KernelSpec.of(
            part.build,
            tile=tile,
            lanes=lanes,
            workgroup=shape.invocations,
            subgroup=32 if lanes == 4 else None,
            **_parameters(width, "f16" if lanes == 1 else "f32", lanes == 1),
            **_stored(part, "bf16"),
            **part.parameters,
        )


def _on_matrices() -> Iterator[KernelSpec]:
    for part, fragment, (subgroup, dtype), (width, lanes) in product(
        PARTS, FRAGMENTS, ((32, "bf16"), (64, "f16")), ((64, 8), (128, 8), (40, 1))
    ):
        high = 2 if part is FORWARD and width <= 64 else 1
        tile = PanelTile(fragment, subgroup, 4 if part.held(width) else 2, high, 32)
        if not tile.fits:
            continue
        yield KernelSpec.of(
            part.build_coop,
            tile=tile,
            dtype=dtype,
            unrolled=lanes == 8,
            lanes=lanes,
            workgroup=tile.invocations,
            subgroup=subgroup,
            **_parameters(width, dtype if lanes == 8 else "f32", lanes == 1),
            **_stored(part, dtype if lanes == 8 else "f32"),
            **part.parameters_on_matrices(width),
        )


def _others() -> Iterator[KernelSpec]:
    for lanes, subgroup in ((4, 32), (1, None)):
        options = {"workgroup": 128, "subgroup": subgroup}
        short = dict.fromkeys(("query", "key", "value", "out"), "bf16")
        yield KernelSpec.of(
            cached_attention, width=64, lanes=lanes, team=16, parts=lanes == 4, soft_cap=lanes == 1, **short, **options
        )
        yield KernelSpec.of(attention_rows, width=64, lanes=lanes, team=8, grad="f16", out="f32", **options)
        yield KernelSpec.of(
            rotary, out="f16", x="bf16", cosine="f32", sine="f32", lanes=lanes, workgroup=128, subgroup=None
        )
    yield KernelSpec.of(add_attended, out="f16", workgroup=128)


@pytest.mark.parametrize("spec", [*_in_f32(), *_others()], ids=lambda spec: spec.name)
def test_modules_are_valid(spec: KernelSpec) -> None:
    validate(build_kernel(spec))


def _in_place() -> Iterator[KernelSpec]:
    for fragment, (subgroup, dtype, columns), (width, lanes), options in product(
        FRAGMENTS, ((32, "bf16", 32), (32, "f16", 64), (64, "f16", 16)), ((64, 8), (128, 8), (40, 1)), (False, True)
    ):
        high = 2 if width <= 64 and options else 1
        tile = PanelTile(fragment, subgroup, 4 if width <= 64 else 2, high, columns)
        if not tile.fits_in_place:
            continue
        yield KernelSpec.of(
            attention_coop2,
            tile=tile,
            dtype=dtype,
            nearest=dtype == "f16" and options,
            ahead=width <= 64,
            lanes=lanes,
            out=dtype if lanes == 8 else "f32",
            workgroup=tile.invocations,
            subgroup=subgroup,
            **_parameters(width, dtype if lanes == 8 else "f32", options),
        )


@pytest.mark.parametrize("part", PARTS)
def test_wide_heads_do_not_make_long_code(part: Part) -> None:
    """Four times as wide, in loops: what grows are the sums that stay in registers."""
    lengths = []
    for width in (64, 256):
        spec = KernelSpec.of(
            part.build,
            tile="16x8",
            lanes=4,
            workgroup=TILES["16x8"].invocations,
            subgroup=32,
            **_parameters(width, "f32", options=False),
            **_stored(part, "f32"),
            **part.parameters,
        )
        binary = build_kernel(spec)
        validate(binary)
        lengths.append(len(binary.code))
    assert lengths[1] < 1.6 * lengths[0]


@pytest.mark.parametrize("spec", list(_on_matrices()), ids=lambda spec: spec.name)
def test_modules_on_matrices_are_valid(spec: KernelSpec) -> None:
    binary = build_kernel(spec)
    validate(binary)
    fragment = dict(spec.parameters)["tile"].fragment
    assert {(one.m, one.n, one.k) for one in binary.products} == {(fragment.m, fragment.n, fragment.k)}
    assert binary.shared_bytes <= 48 << 10
    assert binary.full_subgroups


@pytest.mark.parametrize("spec", list(_in_place()), ids=lambda spec: spec.name)
def test_modules_whose_scores_stay_in_matrices_are_valid(spec: KernelSpec) -> None:
    """They have no accumulators but of f32, which are all that devices need to have beside factors of bf16."""
    binary = build_kernel(spec)
    validate(binary)
    parameters = dict(spec.parameters)
    fragment = parameters["tile"].fragment
    assert {(one.m, one.n, one.k) for one in binary.products} == {(fragment.m, fragment.n, fragment.k)}
    names = ("WorkgroupScope", "FlexibleDimensions", "TensorAddressing", "BlockLoads")
    assert not binary.requirements & {f"cooperativeMatrix{name}" for name in names}
    assert binary.requirements >= IN_PLACE_FEATURES
    accumulators = [one for one in program(binary.code).types.values() if isinstance(one, Matrix) and one.use == 2]
    assert {(one.rows, one.columns, one.component) for one in accumulators} == {
        (fragment.m, fragment.n, Scalar("float", 32))
    }
    assert binary.shared_bytes <= 48 << 10
    assert binary.full_subgroups


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("width", [16, 64, 128])
@pytest.mark.parametrize("info", [NULL_GPU, NULL_MINIMUM], ids=lambda info: info.name)
def test_what_is_chosen_keeps_within_the_limits_of_a_device(info: DeviceInfo, width: int, part: Part) -> None:
    tensor = Tensor((2, 4, 100, width), DType.f32, View(Buffer(0), row_major((2, 4, 100, width))))
    call = AttentionCall((tensor, tensor, tensor), 0.0, (), ())
    for dtype in (DType.f32, DType.f16):
        for way in ways(info, dtype, call, part):
            stored = {"out": "f32"} if part is FORWARD else {"results": "f32", "grad": "f32"}
            binary = build_kernel(way.spec(part, call, 8, **stored))
            assert binary.workgroup[0] <= info.limits.max_workgroup_invocations
            assert binary.shared_bytes <= info.limits.shared_memory
            assert binary.requirements <= info.features


def _call(pairs: int, time: int, width: int) -> AttentionCall:
    shape = (1, pairs, time, width)
    tensor = Tensor(shape, DType.f32, View(Buffer(0), row_major(shape)))
    return AttentionCall((tensor, tensor, tensor), 0.0, (), ())


@pytest.mark.parametrize("missing", [*sorted(IN_PLACE_FEATURES), None])
def test_scores_stay_in_matrices_where_a_device_has_all_that_it_takes(missing: str | None) -> None:
    info = attrs.evolve(NULL_GPU, features=NULL_GPU.features - {missing})
    found = ways(info, DType.f16, _call(64, 1024, 64), FORWARD)
    kinds = [isinstance(way, MatrixBlocks) and way.in_place for way in found]
    assert kinds == ([True] * 3 + [False] * 3 if missing is None else [False] * 3)
    assert all(not way.in_place for way in ways(info, DType.f16, _call(64, 1024, 64), OF_KEYS))  # type: ignore[union-attr]


def test_scores_go_through_shared_memory_where_products_are_no_factors_of_the_next() -> None:
    narrow = tuple(attrs.evolve(shape, n=8) for shape in NULL_GPU.cooperative_shapes)
    found = ways(attrs.evolve(NULL_GPU, cooperative_shapes=narrow), DType.f16, _call(64, 1024, 64), FORWARD)
    assert found
    assert all(isinstance(way, MatrixBlocks) and not way.in_place for way in found)


@pytest.mark.parametrize(("path", "names"), [("coop2", {"coop"}), ("coop", {"64x32", "32x32", "32x16"})])
def test_a_path_that_is_off_is_not_taken(path: str, names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", path)
    device = NullDevice()
    Paths(device)
    found = ways(device.info, DType.f16, _call(64, 1024, 64), FORWARD)
    assert {str(way).split(" ")[0] for way in found} == names


def test_many_queries_take_two_matrices_of_rows_and_few_take_one() -> None:
    for pairs, time, high, rows in ((192, 1024, 2, 128), (4, 1024, 1, 64), (192, 20, 1, 32)):
        first = ways(NULL_GPU, DType.f16, _call(pairs, time, 64), FORWARD)[0]
        assert isinstance(first, MatrixBlocks)
        assert (first.in_place, first.tile.high, first.rows) == (True, high, rows)


def test_weights_are_rounded_by_the_device_where_it_can_be_told_how() -> None:
    able = "shaderRoundingModeRTEFloat16"
    for dtype, features, nearest in (
        (DType.f16, NULL_GPU.features, True),
        (DType.f16, NULL_GPU.features - {able}, False),
        (DType.bf16, NULL_GPU.features, False),
    ):
        info, call = attrs.evolve(NULL_GPU, features=features), _call(4, 100, 64)
        first, software = (ways(one, dtype, call, FORWARD)[0] for one in (info, attrs.evolve(info, kind="cpu")))
        assert isinstance(first, MatrixBlocks)
        assert isinstance(software, MatrixBlocks)
        assert (first.nearest, software.nearest) == (nearest, False)
        assert (able in build_kernel(first.spec(FORWARD, call, 8, out=dtype.value)).requirements) is nearest
