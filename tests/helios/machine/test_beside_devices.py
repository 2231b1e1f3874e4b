"""What the machine computes is what a device computes: every op, and the kernels whose matrices the device has."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from tests.helios.attention.setups import Setup
from tests.helios.attention.test_coop import run as attend
from tests.helios.effort import THOROUGH
from tests.helios.machine.device import MachineDevice
from tests.helios.matmul.products import operands
from tests.helios.matmul_coop.conftest import lacking
from tests.helios.parity.draws import DRAWS
from tests.helios.parity.test_drawn_cases import drawn, stored

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_helios.backend import Helios
from alpha_helios.coop import CoopTiled, coop_variants
from alpha_helios.grid import linear_group
from alpha_helios.kernels.teams import Team
from alpha_helios.product import Problem, Task
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64
from alpha_helios.spirv.value import Value
from alpha_testkit.op_cases.case import leaves

NEAR = 2.0**-20
"""Of the largest number of a result: devices may order sums, and round functions, as they like."""
NEAR_IN_16_BITS = {DType.f16: 2.0**-10, DType.bf16: 2.0**-7}


@pytest.fixture
def machine(helios: Helios) -> Helios:
    """A backend on the machine, which believes itself on the device."""
    return Helios(MachineDevice(helios.info))


def _assert_near(got: Any, want: Any, share: float) -> None:
    assert got.shape == want.shape
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
    elif got.size:
        with np.errstate(all="ignore"):
            size = float(np.max(np.abs(want), initial=0, where=np.isfinite(want)))
            np.testing.assert_allclose(got, want, rtol=share, atol=share * size)


@pytest.mark.parametrize("name", DRAWS)
def test_ops_give_what_a_device_gives(name: str, helios: Helios, machine: Helios) -> None:
    number = 1 + sum(name.encode()) % 3  # stored in f32, f16 or bf16
    results = []
    for backend in (helios, machine):
        case, host, kept = drawn(name, number)
        given = stored(backend, case.upload(backend, host), kept)
        found = leaves(case.op.call(getattr(backend, name), given))
        results.append([None if one is None else backend.download(one) for one in found])
    for got, want in zip(results[1], results[0], strict=True):
        assert (got is None) == (want is None)
        if want is not None:
            _assert_near(got, want, NEAR if kept is DType.f32 else NEAR_IN_16_BITS[kept])


Function = Callable[[Kernel, Value, Value], Value]

FUNCTIONS: dict[str, Function] = {
    "/": lambda k, x, y: k.select(y == 0, 7, x / k.select(y == 0, 1, y)),
    "%": lambda k, x, y: k.select(y == 0, 7, x % k.select(y == 0, 1, y)),
    "divide_unsigned": lambda k, x, y: k.divide_unsigned(x, y | 1),
    "remainder_unsigned": lambda k, x, y: k.remainder_unsigned(x, y | 1),
    "<<": lambda k, x, y: x << (y & 31),
    ">>": lambda k, x, y: x >> (y & 31),
    "shift_right_signed": lambda k, x, y: k.shift_right_signed(x, y & 31),
    "invert": lambda k, x, y: k.invert(x) ^ -y,
    "minimum": lambda k, x, y: k.minimum(x, y) - k.maximum(x, y),
    "minimum_unsigned": lambda k, x, y: k.minimum_unsigned(x, y) ^ k.maximum_unsigned(x, y),
    "compare": lambda k, x, y: k.select(x < y, 1, x) + k.select(x >= y, 2, y) + k.select(k.below(x, y), 4, x),
    "umul_extended": lambda k, x, y: k.umul_extended(x, y)[0] ^ k.umul_extended(x, y)[1],
    "count_ones": lambda k, x, y: k.count_ones(x) + k.reverse_bits(y),
    "lowest_bit": lambda k, x, y: k.lowest_bit(x) + k.highest_bit(y) * 64,
    "field": lambda k, x, y: k.field(x, y & 7, 11) + k.field(x, y & 7, 9, signed=True),
    "i64": lambda k, x, y: k.convert((k.convert(x, i64) * k.convert(y, i64)) >> 7, i32),
    "f32": lambda k, x, y: k.bitcast(k.convert(x, f32) * k.convert_unsigned(y, f32), i32),
    "f16": lambda k, x, y: k.f16_word(k.convert(x, f32) * 2.0**-19) + k.bf16_word(k.convert(y, f32)),
    "absolute": lambda k, x, y: k.absolute(x) - k.sign(y),
    "shuffle": lambda k, x, y: k.subgroup_shuffle_xor(x, 3) ^ k.subgroup_broadcast_first(y),
    "reduce": lambda k, x, y: k.subgroup_add(x) ^ k.subgroup_max(y) ^ k.subgroup_min(x),
    "scan": lambda k, x, y: k.subgroup_exclusive("add", x) ^ k.subgroup_inclusive("max", y),
    "ballot": lambda k, x, y: k.ballot_count(k.subgroup_ballot(x < y), before=True),
    "vote": lambda k, x, y: k.select(k.subgroup_any(x > y), 1, x) + k.select(k.subgroup_elect(), y, x),
}


def numbers(k: Kernel) -> None:
    """Applies each of `FUNCTIONS` to pairs of integers, and adds up the results of a workgroup."""
    out, x, y = k.pointer(i32), k.pointer(i32, readonly=True), k.pointer(i32, readonly=True)
    count, team = k.integer(), Team(k)
    index = linear_group(k) * k.invocations + k.local_index
    for place, compute in enumerate(FUNCTIONS.values()):
        result = compute(k, x[index], y[index])
        out[k.constant(i32, place) * count + index] = result
        (total,) = team.sum(result)
        out[k.constant(i32, place + len(FUNCTIONS)) * count + index] = total


def test_functions_of_integers_give_the_bits_of_a_device(helios: Helios, machine: Helios) -> None:
    count = 256
    rng = np.random.default_rng(0)
    x, y = rng.integers(-(2**31), 2**31, (2, count)).astype(np.int32)
    x[:40], y[:40] = rng.integers(-9, 9, (2, 40))
    results = []
    for backend in (helios, machine):
        out = backend.empty((2 * len(FUNCTIONS), count), DType.i32)
        given = [backend.upload(one) for one in (x, y)]
        spec = KernelSpec.of(numbers, workgroup=64, subgroup=backend.info.subgroup_size)
        backend.run(Launch(spec, (out,), (), tuple(given), (count,), groups=(count // 64, 1, 1)))
        results.append(backend.download(out))
    names = [*FUNCTIONS, *(f"sum of {name}" for name in FUNCTIONS)]
    for name, got, want in zip(names, results[1], results[0], strict=True):
        assert (got == want).all(), name


def _variants(helios: Helios, task: Task) -> Sequence[CoopTiled]:
    return [one for one in coop_variants(task, helios.info) if isinstance(one, CoopTiled)]


WAYS = [((False, False), True), ((False, True), False), ((True, False), False), ((True, True), True)]
if THOROUGH:
    WAYS = [(ways, by_element) for ways, _ in WAYS for by_element in (False, True)]


@pytest.mark.parametrize(("ways", "by_element"), WAYS, ids=str)
def test_products_by_matrices(ways: tuple[bool, bool], by_element: bool, helios: Helios, machine: Helios) -> None:
    reason = lacking(helios, "coop")
    if reason is not None:
        pytest.skip(f"needs a Vulkan device with cooperative matrices: {reason}")
    a, b = operands(np.random.default_rng(0), 45, 52, 37, *ways)
    results = []
    for backend in (helios, machine):
        problem = Problem.of(backend.upload(a), backend.upload(b), *ways, (45, 37))
        task = Task(problem, backend.empty((45, 37)), backend.empty, "f16")
        variant = attrs.evolve(_variants(backend, task)[0], by_element=by_element, turned=ways[0])
        for one in variant.launches(task):
            backend.run(one)
        results.append(backend.download(task.out))
    _assert_near(results[1], results[0], NEAR)


SETUPS = [Setup(1, 2, 33, 40, 16, soft_cap=2.0, rate=0.4), Setup(1, 1, 9, 9, 7)]
if THOROUGH:
    SETUPS += [Setup(1, 2, 33, 40, 24, soft_cap=2.0), Setup(2, 1, 45, 45, 32, rate=0.4)]


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_attention_by_matrices(setup: Setup, helios: Helios, machine: Helios) -> None:
    reason = lacking(helios, "coop")
    if reason is not None:
        pytest.skip(f"needs a Vulkan device with cooperative matrices: {reason}")
    arrays, results = setup.draw(), []
    for backend in (helios, machine):
        backend.set_matmul_dtype(DType.f16)
        try:
            results.append(attend(backend, setup, arrays))
        finally:
            backend.set_matmul_dtype(DType.f32)
    for got, want in zip(results[1], results[0], strict=True):
        # What a device rounds to 16 bits differs by a place where its sums differ in the last one.
        assert np.linalg.norm(got - want) <= 2.0**-12 * np.linalg.norm(want)
