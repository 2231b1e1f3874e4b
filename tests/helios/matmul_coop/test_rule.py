"""Which kernels the rule picks, on devices that offer more or less."""

from collections.abc import Iterator

import attrs
import pytest
from tests.helios.matmul_coop.conftest import lacking

from alpha_core.dtype import DType
from alpha_core.errors import BackendError
from alpha_core.recording.storage import Buffer, View, row_major
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.compiler import build_kernel
from alpha_helios.coop import CoopTiled, fragments
from alpha_helios.coop2 import TensorTiled
from alpha_helios.fast_paths import FAST_PATHS, Paths, restricted
from alpha_helios.kernels.matmul_coop import Fragment
from alpha_helios.product import Epilogue, Problem, Task
from alpha_helios.variants import Variant, variants
from alpha_helios.vulkan.device_info import CooperativeShape, DeviceInfo
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM, NullDevice

KHR_GPU = restricted(NULL_GPU, ["coop2"])


def _tensor(*shape: int, stored: DType | None = None) -> Tensor:
    return Tensor(shape, DType.f32, View(Buffer(0), row_major(shape), stored=stored))


def _found(
    info: DeviceInfo,
    rounded: str = "f16",
    size: tuple[int, int, int] = (2048, 2048, 2048),
    stored: DType | None = None,
    result: DType | None = None,
) -> tuple[list[Variant], Task]:
    rows, inner, columns = size
    a, b = _tensor(rows, inner, stored=stored), _tensor(columns, inner, stored=stored)
    problem, out = Problem.of(a, b, False, True, (rows, columns)), _tensor(rows, columns, stored=result)
    product = "f32" if result is None else result.value
    task = Task(problem, out, lambda shape, dtype: _tensor(*shape), rounded, epilogue=Epilogue(product))
    return variants(task, info), task


@pytest.mark.parametrize("rounded", ["f16", "bf16"])
def test_large_products_of_16_bits_are_computed_by_matrices(rounded: str) -> None:
    first = _found(KHR_GPU, rounded)[0][0]
    assert isinstance(first, CoopTiled)
    assert first.tile.startswith(("256x128", "128x128"))
    assert isinstance(_found(NULL_GPU, rounded, stored=DType(rounded))[0][0], TensorTiled)


def test_products_in_f32_are_not() -> None:
    for stored in (None, DType.f16):
        found, _ = _found(NULL_GPU, "f32", stored=stored)
        assert not any(isinstance(one, CoopTiled | TensorTiled) for one in found)


def test_a_device_without_bf16_multiplies_f16_alone_by_matrices() -> None:
    shapes = tuple(shape for shape in NULL_GPU.cooperative_shapes if shape.a == "f16")
    for info in (
        attrs.evolve(KHR_GPU, cooperative_shapes=shapes),
        attrs.evolve(KHR_GPU, features=KHR_GPU.features - {"shaderBFloat16CooperativeMatrix"}),
    ):
        assert isinstance(_found(info, "f16")[0][0], CoopTiled)
        assert not any(isinstance(one, CoopTiled) for one in _found(info, "bf16")[0])


def test_a_processor_that_stands_in_for_a_device_has_few_matrices_to_compile() -> None:
    shape = CooperativeShape(8, 8, 8, "f16", "f16", "f32", "f32", "subgroup", False)
    info = attrs.evolve(KHR_GPU, kind="cpu", cooperative_shapes=(shape,), subgroup_size=8, subgroup_sizes=(8, 8))
    for size in ((64, 64, 64), (2048, 2048, 2048)):
        first = _found(info, size=size)[0][0]
        assert isinstance(first, CoopTiled)
        assert first.tile == "16x16x16"


def test_small_grids_take_small_tiles_or_parts() -> None:
    small, _ = _found(KHR_GPU, size=(64, 256, 64))
    assert isinstance(small[0], CoopTiled)
    assert small[0].block[0] <= 64
    deep, _ = _found(KHR_GPU, size=(64, 8192, 64))
    assert isinstance(deep[0], CoopTiled)
    assert deep[0].parts > 1


def test_blocks_are_turned_where_a_device_reads_matrices_number_by_number() -> None:
    amd = attrs.evolve(KHR_GPU, vendor_id=0x1002)
    a, b = _tensor(512, 512), _tensor(512, 512)
    for info, transposed, turned in ((amd, True, False), (amd, False, True), (KHR_GPU, False, False)):
        problem = Problem.of(a, b, False, transposed, (512, 512))
        task = Task(problem, _tensor(512, 512), lambda shape, dtype: _tensor(*shape), "f16")
        found = [one for one in variants(task, info) if isinstance(one, CoopTiled)]
        assert found
        assert all(one.turned is turned for one in found)


def test_the_largest_product_of_a_device_that_fits_is_taken() -> None:
    def shape(m: int, n: int, k: int, total: str = "f32", scope: str = "subgroup") -> CooperativeShape:
        return CooperativeShape(m, n, k, "f16", "f16", total, total, scope, False)

    offered = (shape(16, 8, 8), shape(16, 8, 16), shape(16, 16, 16, "f16"), shape(64, 64, 16, scope="workgroup"))
    info = attrs.evolve(KHR_GPU, cooperative_shapes=offered)
    assert fragments(info, "f16") == [Fragment(16, 8, 16), Fragment(16, 8, 8)]
    first = _found(info)[0][0]
    assert isinstance(first, CoopTiled)
    assert first.fragment == Fragment(16, 8, 16)
    unusable = attrs.evolve(KHR_GPU, cooperative_shapes=(shape(4, 4, 4), shape(16, 16, 16, "f16")))
    assert lacking_on(unusable) == "the device multiplies no matrices of f16 or bf16 into sums of f32"


def lacking_on(info: DeviceInfo) -> str | None:
    return next(path for path in FAST_PATHS if path.name == "coop").lacking(info)


def _devices() -> Iterator[DeviceInfo]:
    """Limits of several GPUs; the last ones have subgroups of 64, of 16, and little shared memory."""
    shapes = tuple(CooperativeShape(8, 16, 16, "f16", "f16", "f32", "f32", "subgroup", False) for _ in range(1))
    yield NULL_GPU
    yield KHR_GPU
    yield attrs.evolve(KHR_GPU, subgroup_size=64, subgroup_sizes=(32, 64), kind="discrete")
    yield attrs.evolve(KHR_GPU, subgroup_size=16, subgroup_sizes=(8, 32), cooperative_shapes=shapes, vendor_id=0x8086)
    yield attrs.evolve(KHR_GPU, limits=attrs.evolve(KHR_GPU.limits, shared_memory=16 << 10))
    yield attrs.evolve(KHR_GPU, limits=attrs.evolve(KHR_GPU.limits, max_workgroup_subgroups=2))


@pytest.mark.parametrize("info", list(_devices()), ids=range(6))
@pytest.mark.parametrize("size", [(33, 64, 40), (70, 8192, 64), (2048, 2048, 2050)], ids=str)
def test_kernels_keep_within_what_a_device_has(info: DeviceInfo, size: tuple[int, int, int]) -> None:
    seen = 0
    for stored in (None, DType.f16):
        found, task = _found(info, size=size, stored=stored)
        for one in found:
            if isinstance(one, CoopTiled | TensorTiled):
                binary = build_kernel(one.launches(task)[0].spec)
                assert binary.shared_bytes <= info.limits.shared_memory
                assert binary.workgroup[0] <= info.limits.max_workgroup_invocations
                assert binary.workgroup[0] // info.subgroup_size <= info.limits.max_workgroup_subgroups
                assert binary.requirements <= info.features
                assert binary.subgroup_size == info.subgroup_size
                seen += 1
    assert seen


def test_what_a_workgroup_multiplies_is_stored_at_once_where_nothing_but_rounding_is_left() -> None:
    for result, columns, whole in ((None, 512, True), (DType.f16, 514, True), (DType.bf16, 512, False)):
        found, task = _found(NULL_GPU, stored=DType.f16, result=result, size=(512, 512, columns))
        first = next(one for one in found if isinstance(one, TensorTiled))
        parameters = dict(first.launches(task)[0].spec.parameters)
        assert parameters["whole"] is whole
        assert parameters["clamped"] is (columns == 514)


def test_the_device_is_not_asked_for_tensors_that_are_too_far() -> None:
    a = Tensor((40000, 64), DType.f32, View(Buffer(0), (70000, 1), stored=DType.f16))
    b = _tensor(64, 64, stored=DType.f16)
    problem = Problem.of(a, b, False, False, (40000, 64))
    task = Task(problem, _tensor(40000, 64), lambda shape, dtype: _tensor(*shape), "f16")
    found = variants(task, NULL_GPU)
    assert found
    assert not any(isinstance(one, TensorTiled) for one in found)


def test_paths_that_are_off_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", "coop2")
    device = NullDevice()
    Paths(device)
    found, _ = _found(device.info, stored=DType.f16)
    assert isinstance(found[0], CoopTiled)
    assert not any(str(one).startswith("coop2") for one in found)
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", "coop")
    device = NullDevice()
    paths = Paths(device)
    assert paths.off["coop2"] == "it builds on `coop`, which is off"
    assert not any(isinstance(one, CoopTiled | TensorTiled) for one in _found(device.info, stored=DType.f16)[0])
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", "coop3")
    with pytest.raises(BackendError, match="`coop3`, which is no fast path"):
        Paths(NullDevice())


def test_a_path_alone_has_what_it_builds_on() -> None:
    device = NullDevice()
    paths = Paths(device)
    for name in ("coop", "coop2"):
        with paths.only(name):
            assert any(str(one).startswith(f"{name} ") for one in _found(device.info, stored=DType.f16)[0])
    with paths.only("16bit"):
        assert not any(isinstance(one, CoopTiled) for one in _found(device.info)[0])
    assert device.info == NULL_GPU


def test_a_device_that_has_no_matrices_says_so(helios: Helios) -> None:
    assert lacking_on(NULL_MINIMUM) is not None
    reason = lacking(helios, "coop")
    assert (reason is None) == bool(helios.info.cooperative_shapes)
    if reason is not None:
        assert reason == "the device lacks `cooperativeMatrix`"
        found, _ = _found(helios.info)
        assert not any(isinstance(one, CoopTiled) for one in found)
