"""Loads, stores, variables, atomic operations and barriers make valid modules."""

import pytest
from tests.helios.spirv.tools import validated

from alpha_helios.spirv.disassemble import decode, disassemble
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import Type, f16, f32, f64, i8, i16, i32, i64, vector

_STORED = (i8, i16, i32, i64, f16, f32, f64)
_BASE = {"bufferDeviceAddress", "shaderInt64"}


@pytest.mark.parametrize("element", _STORED, ids=str)
@pytest.mark.parametrize("lanes", [0, 2, 3, 4])
def test_elements_are_copied(element: Type, lanes: int) -> None:
    k = Kernel()
    target, source = k.pointer(element), k.pointer(element, readonly=True)
    i, j = k.global_(0), k.long()
    target.store(i, source.load(j, lanes))
    (target + j).store(4, (source + i).load(0, lanes))
    target.store(8, source.load(3, lanes, alignment=element.nbytes, volatile=True), volatile=True)
    validated(k)


@pytest.mark.parametrize(
    ("element", "needed"),
    [(i8, {"storageBuffer8BitAccess"}), (i16, {"storageBuffer16BitAccess"}), (f16, {"storageBuffer16BitAccess"})],
    ids=str,
)
def test_copying_narrow_elements_needs_no_arithmetic(element: Type, needed: set[str]) -> None:
    k = Kernel()
    p = k.pointer(element)
    p[0] = p[1]
    assert validated(k).requirements == _BASE | needed


def test_indices_of_32_bits_are_widened_before_they_are_multiplied() -> None:
    k = Kernel()
    p = k.pointer(f32)
    p[k.global_(0)] = 1.0
    rows = [row for row in decode(validated(k).code) if row.name in ("SConvert", "IMul")]
    assert [row.name for row in rows] == ["SConvert", "IMul"]
    assert rows[1].operands[0] == ("i", rows[0].result)
    assert "IMul" in disassemble(k.finish().code)


@pytest.mark.parametrize(
    ("lanes", "promised", "asked", "expected"),
    [
        *((0, None, None, 4), (2, None, None, 8), (3, None, None, 4), (4, None, None, 16)),
        *((4, 4, None, 4), (4, 64, None, 16), (4, None, 8, 8), (4, 4, 16, 16)),
    ],
)
def test_accesses_say_how_aligned_they_are(lanes: int, promised: int | None, asked: int | None, expected: int) -> None:
    k = Kernel()
    p = k.pointer(f32, alignment=promised)
    p.store(0, p.load(0, lanes, alignment=asked), alignment=asked)
    accesses = [row.operands[-2:] for row in decode(validated(k).code) if ("access", 2) in row.operands]
    assert accesses == [(("access", 2), ("n", expected))] * 2


def test_pointers_move_by_bytes_and_change_their_type() -> None:
    k = Kernel()
    p = k.pointer(f32)
    moved = (p + 3).at(k.integer()).at(8, i16)
    moved[k.long()] = p.cast(i16)[2]
    assert moved.offset == 20
    validated(k)


def test_shared_memory_holds_scalars_and_vectors() -> None:
    k = Kernel((64, 1, 1))
    p = k.pointer(f32)
    scalars, vectors, words = k.shared(f32, 256), k.shared(vector(f32, 4), 64), k.shared(i64, 2)
    i = k.local_index
    vectors[i] = p.load(i * 4, 4)
    scalars.store(i * 4, vectors[i])
    (scalars + i)[k.long()] = 2.0
    words[0] = 5
    k.barrier()
    p.store(i * 4, (scalars + 4).load(i * 4 - 4, 4) + (vectors + i)[0] + vectors[k.long()])
    p[0] = scalars[255] + k.convert(words[1], f32)
    assert validated(k).shared_bytes == 256 * 4 + 64 * 16 + 2 * 8


def test_an_array_of_one_invocation_is_indexed_while_it_runs() -> None:
    k = Kernel()
    p = k.pointer(f32)
    array = k.array(f32, 8)
    with k.range_(0, 8) as i:
        array[i] = p[i]
    array[3] = array[4] * 2
    p[0] = array[p.cast(i32)[9]]
    validated(k)


def test_variables_keep_values_across_blocks() -> None:
    k = Kernel()
    p = k.pointer(f32)
    total, count = k.variable(0.0, f32), k.variable(p.cast(i32)[3])
    four = k.variable(p.load(4, 4))
    with k.if_(p[0] > 1):
        total.value = 3.0
        four.value = 2.0
    count.value = count.value + 1
    p[1] = total.value + k.convert(count.value, f32)
    p.store(8, four.value)
    validated(k)


@pytest.mark.parametrize("element", [i32, i64], ids=str)
@pytest.mark.parametrize("where", ["buffer", "shared"])
@pytest.mark.parametrize("order", ["relaxed", "acquire_release"])
def test_atomic_operations_on_integers(element: Type, where: str, order: str) -> None:
    k = Kernel()
    buffer = k.pointer(element)
    place = buffer if where == "buffer" else k.shared(element, 8)
    for operation in (k.atomic_add, k.atomic_max, k.atomic_min, k.atomic_exchange):
        place[1] = operation(place + k.local_index, 3, order=order)  # type: ignore[arg-type]
    for bits in (k.atomic_and, k.atomic_or, k.atomic_xor, k.atomic_max_unsigned, k.atomic_min_unsigned):
        place[2] = bits(place, place[3], scope="workgroup")
    place[4] = k.atomic_compare_exchange(place, 1, 2, order=order)  # type: ignore[arg-type]
    k.atomic_store(place, k.atomic_load(place, order="acquire"), order="release")
    needed = {f"shader{'Buffer' if where == 'buffer' else 'Shared'}Int64Atomics"} if element == i64 else set()
    assert validated(k).requirements == _BASE | needed


@pytest.mark.parametrize("where", ["Buffer", "Shared"])
def test_atomic_operations_on_floats_name_what_the_device_needs(where: str) -> None:
    k = Kernel()
    buffer = k.pointer(f32)
    place = buffer if where == "Buffer" else k.shared(f32, 8)
    place[0] = k.atomic_add(place + 1, 1.0)
    assert validated(k).requirements == _BASE | {f"shader{where}Float32AtomicAdd"}
    k = Kernel()
    buffer = k.pointer(f32)
    place = buffer if where == "Buffer" else k.shared(f32, 8)
    k.atomic_max(place, k.atomic_min(place, 2.0) + k.atomic_exchange(place, 3.0) + k.atomic_load(place))
    requirements = {f"shader{where}Float32AtomicMinMax", f"shader{where}Float32Atomics"}
    assert validated(k).requirements == _BASE | requirements


def test_barriers() -> None:
    k = Kernel((64, 1, 1))
    k.shared(f32, 4)[k.local_index & 3] = 1.0
    k.barrier()
    k.barrier(buffers=True)
    k.barrier(shared=False)
    k.subgroup_barrier()
    k.memory_barrier()
    k.memory_barrier("workgroup", shared=True)
    validated(k)


def test_matrices_bring_the_vulkan_memory_model_to_the_whole_kernel() -> None:
    k = Kernel((32, 1, 1))
    p, tile = k.pointer(f32), k.shared(f32, 4)
    tile[0] = p[0]
    k.barrier()
    k.atomic_add(p.cast(i32), 1, order="acquire_release")
    k.coop_fill(k.coop_matrix(f32, 8, 8, "accumulator"), 0)
    binary = validated(k)
    assert {"vulkanMemoryModel", "vulkanMemoryModelDeviceScope"} <= binary.requirements
    accesses = [value for row in decode(binary.code) for kind, value in row.operands if kind == "access"]
    assert len(accesses) == 2  # the buffer and the tile, not the arguments
    assert all(int(value) & 0x20 for value in accesses)


def test_one_lane_of_a_vector_in_shared_memory_is_stored() -> None:
    k = Kernel((64, 1, 1))
    p, n = k.pointer(f32), k.long()
    tile, own = k.shared(vector(f32, 4), 64), k.array(vector(f32, 2), 2)
    tile.store_lane(k.local_index, 3, p[0])
    tile.store_lane(n, k.local_index & 3, 1.0)
    own.store_lane(1, 0, 2.0)
    (tile + n).store_lane(0, 1, own[1][0])
    with pytest.raises(IndexError, match="lane 4 of f32x4"):
        tile.store_lane(0, 4, 1.0)
    with pytest.raises(IndexError, match="element 64 of 64"):
        tile.store_lane(64, 0, 1.0)
    with pytest.raises(TypeError, match="`store_lane` into f32, which has no lanes"):
        k.shared(f32, 4).store_lane(0, 0, 1.0)
    validated(k)
