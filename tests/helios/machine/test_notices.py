"""The machine says what of a kernel is undefined: accesses, what meets without a barrier, what diverges."""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.attention.setups import Setup, stored
from tests.helios.machine import device
from tests.helios.machine.imagined import imagined, launch
from tests.helios.machine.program import Program
from tests.helios.machine.values import MachineError
from tests.helios.matmul.products import operands

from alpha_core.dtype import DType
from alpha_helios.backend import Helios
from alpha_helios.coop import CoopTiled, coop_variants
from alpha_helios.product import Problem, Task
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.tensor import Clamp
from alpha_helios.spirv.types import f16, f32, i32, vector
from alpha_helios.spirv.value import Value

Array = np.ndarray[Any, Any]


def _floats(count: int) -> Array:
    return np.arange(count, dtype=np.float32)


def test_an_access_outside_of_a_buffer_names_the_instruction() -> None:
    def build() -> Kernel:
        k = Kernel((32, 1, 1))
        out, x = k.pointer(), k.pointer(readonly=True)
        out[k.local_index] = x[k.local_index + 1] * 2
        return k

    out = np.zeros(32, np.float32)
    launch(build(), out, _floats(33))
    np.testing.assert_array_equal(out, 2 * np.arange(1, 33))
    with pytest.raises(MachineError, match=r"instruction `%\d+ = Load .* are in no buffer; .* 128 bytes"):
        launch(build(), out, _floats(32))
    with pytest.raises(MachineError, match=r"instruction `Store .* are in no buffer"):
        launch(build(), np.zeros(31, np.float32), _floats(33))


def test_an_access_that_is_less_aligned_than_it_says() -> None:
    k = Kernel((8, 1, 1))
    out, x = k.pointer(), k.pointer(readonly=True)
    out.store(k.local_index * 4, x.load(k.local_index * 4 + 2, 4))
    with pytest.raises(MachineError, match="not aligned to 16"):
        launch(k, np.zeros(32, np.float32), _floats(64))


def _exchange(barrier: Callable[[Kernel], None], apart: int) -> Kernel:
    """y[i] = x[i ^ apart], through shared memory."""
    k = Kernel((64, 1, 1), subgroup_size=32)
    out, x, shared = k.pointer(), k.pointer(readonly=True), k.shared(f32, 64)
    shared[k.local_index] = x[k.local_index]
    barrier(k)
    out[k.local_index] = shared[k.local_index ^ apart]
    return k


@pytest.mark.parametrize("apart", [0, 1, 32])
def test_what_meets_in_shared_memory_needs_a_barrier(apart: int) -> None:
    out, right = np.zeros(64, np.float32), np.arange(64) ^ apart
    launch(_exchange(lambda k: k.barrier(), apart), out, _floats(64))
    np.testing.assert_array_equal(out, right)
    enough: list[tuple[Callable[[Kernel], None], bool]] = [
        (lambda k: k.subgroup_barrier(), apart < 32),
        (lambda k: k.barrier(shared=False, buffers=True), apart == 0),
        (lambda k: None, apart == 0),
    ]
    for barrier, is_enough in enough:
        if is_enough:
            launch(_exchange(barrier, apart), out, _floats(64))
            np.testing.assert_array_equal(out, right)
        else:
            with pytest.raises(MachineError, match=r"reads word .* which invocation .* wrote, with no barrier between"):
                launch(_exchange(barrier, apart), out, _floats(64))


def test_what_was_read_is_not_overwritten_without_a_barrier() -> None:
    for has_barrier in (True, False):
        k = Kernel((64, 1, 1), subgroup_size=32)
        out, shared = k.pointer(i32), k.shared(i32, 64)
        shared[k.local_index] = k.local_index
        k.barrier()
        out[k.local_index] = shared[0] + shared[63 - k.local_index]
        if has_barrier:
            k.barrier()
        shared[k.local_index] = k.constant(i32, 0)
        if has_barrier:
            launch(k, np.zeros(64, np.int32))
        else:
            with pytest.raises(MachineError, match=r"writes word .* read, with no barrier between"):
                launch(k, np.zeros(64, np.int32))


def test_two_invocations_do_not_write_one_word() -> None:
    k = Kernel((32, 1, 1))
    shared = k.shared(f32, 4)
    shared[k.local_index // 8] = 1.0
    with pytest.raises(MachineError, match="two invocations write word 0"):
        launch(k)


def test_shared_memory_holds_nothing_at_first() -> None:
    k = Kernel((32, 1, 1))
    out, shared = k.pointer(), k.shared(f32, 32)
    out[k.local_index] = shared[k.local_index]
    out_values = np.zeros(32, np.float32)
    launch(k, out_values)
    assert np.isnan(out_values).all()


def test_an_index_beyond_an_array() -> None:
    k = Kernel((32, 1, 1))
    k.shared(f32, 31)[k.local_index] = 1.0
    with pytest.raises(MachineError, match=r"a store to scalar 31 of .* which has 31"):
        launch(k)


def _after(k: Kernel, condition: Value, what: Callable[[], None]) -> Kernel:
    with k.if_(condition):
        what()
    return k


def test_a_barrier_that_some_never_reach() -> None:
    k = Kernel((64, 1, 1), subgroup_size=32)
    _after(k, k.local_index < 32, k.subgroup_barrier)
    launch(k)
    for count, barrier in ((32, "barrier"), (40, "subgroup_barrier")):
        k = Kernel((64, 1, 1), subgroup_size=32)
        _after(k, k.local_index < count, getattr(k, barrier))
        with pytest.raises(MachineError, match=r"ControlBarrier .* in divergent control flow"):
            launch(k)


def test_matrices_of_a_subgroup_that_is_not_there_as_a_whole() -> None:
    k = Kernel((64, 1, 1), subgroup_size=32)
    out = k.pointer(f32)
    ones = k.coop_matrix(f32, 16, 16, "accumulator")
    _after(k, k.local_index < 48, lambda: k.coop_store(out, 0, k.coop_fill(ones, 1), stride=16))
    with pytest.raises(MachineError, match="in divergent control flow"):
        launch(k, np.zeros(256, np.float32))


def test_operands_of_matrices_are_the_same_for_all() -> None:
    k = Kernel((32, 1, 1), subgroup_size=32)
    out = k.pointer(f32)
    ones = k.coop_matrix(f32, 16, 16, "accumulator")
    k.coop_store(out, k.local_index // 16 * 4, k.coop_fill(ones, 1), stride=16)
    with pytest.raises(MachineError, match="an operand that differs among the invocations of a subgroup"):
        launch(k, np.zeros(300, np.float32))


def _added_from_shared_memory(barriers: int) -> Kernel:
    """Each element of a matrix of ones, plus what an invocation of its subgroup wrote for its row, in two turns."""
    k = Kernel((64, 1, 1), subgroup_size=32)
    out, shared = k.pointer(f32), k.shared(f32, 32)
    ones = k.coop_fill(k.coop_matrix(f32, 16, 16, "accumulator"), 1)

    def added(row: Value, column: Value, value: Value, start: Value) -> Value:
        return value + shared[start + row]

    for turn in range(2):
        with k.if_(k.subgroup_lane < 16):
            shared[k.subgroup_id * 16 + k.subgroup_lane] = k.convert(k.local_index + turn, f32)
        if barriers > 2 * turn:
            k.subgroup_barrier()
        matrix = k.coop_per_element(ones, added, k.subgroup_id * 16)
        if barriers > 2 * turn + 1:
            k.subgroup_barrier()
        k.coop_store(out, k.subgroup_id * 256, matrix, stride=16)
    return k


def test_functions_of_one_element_reach_shared_memory_as_all_of_a_subgroup() -> None:
    out = np.zeros((2, 16, 16), np.float32)
    launch(_added_from_shared_memory(3), out)
    np.testing.assert_array_equal(out[..., 5], np.arange(2)[:, None] * 32 + np.arange(16) + 2)
    with pytest.raises(MachineError, match=r"reads word .* wrote, with no barrier between"):
        launch(_added_from_shared_memory(0), out)
    with pytest.raises(MachineError, match=r"writes word .* read, with no barrier between"):
        launch(_added_from_shared_memory(1), out)


def test_rows_of_matrices_begin_at_multiples_of_16_bytes() -> None:
    k = Kernel((32, 1, 1), subgroup_size=32)
    shared = k.shared(f32, 600)
    k.coop_store(shared, 0, k.coop_fill(k.coop_matrix(f32, 16, 16, "accumulator"), 1), stride=18)
    with pytest.raises(MachineError, match="rows do not begin at multiples of 16 bytes"):
        launch(k)


def _part(clamp: Clamp, first: int, rows: int, stride: int, offset: int = 0) -> Kernel:
    """Copies a part of a tensor by way of a matrix of the workgroup."""
    k = Kernel((128, 1, 1), subgroup_size=32)
    out, x = k.pointer(f16), k.pointer(f16, readonly=True)
    type_ = k.coop_matrix(f16, 32, 16, "accumulator", "workgroup")
    layout = k.tensor_layout(2, clamp).dimensions(rows, 16).strides(stride, 1).slice((first, 32), (0, 16))
    to = k.tensor_layout(2).dimensions(32, 16)
    k.coop_store_tensor(out, k.coop_load_tensor(type_, x + offset, layout), to)
    return k


def test_a_tensor_that_ends_is_not_read_on_with_clamp_undefined() -> None:
    out, x = np.zeros(512, np.float16), np.ones(2048, np.float16)
    launch(_part("undefined", 8, 40, 16), out, x)
    assert (out == 1).all()
    with pytest.raises(MachineError, match=r"LoadTensorNV .* coordinate 40 .* clamp mode `undefined`"):
        launch(_part("undefined", 9, 40, 16), out, x)
    launch(_part("constant", 9, 40, 16), out, x)
    assert (out.reshape(32, 16)[31] == 0).all()


def test_tensors_lie_as_the_device_asks() -> None:
    out, x = np.zeros(512, np.float16), np.ones(2048, np.float16)
    with pytest.raises(MachineError, match="begins at no multiple of 16 bytes"):
        launch(_part("undefined", 0, 40, 16, offset=4), out, x)
    with pytest.raises(MachineError, match="stride 8 over an axis of length 16"):
        launch(_part("undefined", 0, 40, 8), out, x)


def test_integers_are_not_divided_by_0() -> None:
    k = Kernel((32, 1, 1))
    out = k.pointer(i32)
    with k.if_(k.local_index > 0):
        out[k.local_index] = k.constant(i32, 64) // k.local_index
    launch(k, np.zeros(32, np.int32))
    k = Kernel((32, 1, 1))
    k.pointer(i32)[k.local_index] = k.constant(i32, 64) // k.local_index
    with pytest.raises(MachineError, match=r"SDiv .* a division of integers by 0"):
        launch(k, np.zeros(32, np.int32))


def test_vectors_in_shared_memory_are_watched_lane_by_lane() -> None:
    k = Kernel((32, 1, 1))
    shared = k.shared(vector(i32, 4), 8)
    shared.store_lane(k.local_index // 4, k.local_index % 4, k.local_index)
    k.barrier()
    out = np.zeros(32, np.int32)
    k.pointer(i32).store(k.local_index, shared[k.local_index // 4][0] + k.local_index % 4)
    launch(k, out)
    np.testing.assert_array_equal(out, np.arange(32))


# Real kernels without one of their barriers


@attrs.define
class Cut:
    """Takes modules apart, without a barrier of those that have as many as are looked for."""

    count: int = 0
    without: int = 0
    most: int = 0

    def program(self, code: bytes, specialization: tuple[tuple[int, int], ...] = ()) -> Program:
        made, number = Program(code, dict(specialization)), 0
        for function in made.functions.values():
            for block in function.blocks.values():
                kept = []
                for run, row in block.runs:
                    number += row.name == "ControlBarrier"
                    if row.name != "ControlBarrier" or number != self.without:
                        kept.append((run, row))
                block.runs = kept
        self.most = max(self.most, number)
        return made


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    cut = Cut()
    monkeypatch.setattr(device, "program", cut.program)
    return cut


def _product(helios: Helios) -> None:
    a, b = operands(np.random.default_rng(0), 40, 70, 40, False, True)
    problem = Problem.of(helios.upload(a), helios.upload(b), False, True, (40, 40))
    task = Task(problem, helios.empty((40, 40)), helios.empty, "f16")
    variant = next(one for one in coop_variants(task, helios.info) if isinstance(one, CoopTiled))
    for one in attrs.evolve(variant, tile="64x64x32", by_element=False, parts=1).launches(task):
        helios.run(one)
    helios.download(task.out)


def _attention(helios: Helios) -> None:
    helios.set_matmul_dtype(DType.f16)
    query, key, value, _ = (stored(helios, array) for array in Setup(1, 1, 70, 70, 32).draw())
    helios.download(helios.attention(query, key, value)[0])


@pytest.mark.parametrize(
    ("work", "unnoticed"),
    [(_product, [6]), (_attention, [7])],
    ids=["a product", "attention"],
)
def test_no_barrier_of_a_kernel_can_be_left_out(work: Callable[[Helios], None], unnoticed: list[int], cut: Cut) -> None:
    """But the last one of strips of sums, and one after a loop that matters if sums were scaled in its last turn."""
    work(imagined("waves of 32"))
    assert cut.most >= 6
    for number in range(1, cut.most + 1):
        cut.without = number
        if number in unnoticed:
            work(imagined("waves of 32"))
            continue
        with pytest.raises(MachineError, match="with no barrier between"):
            work(imagined("waves of 32"))
