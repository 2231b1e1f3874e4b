"""The ceiling of arithmetic, the knobs, and what the kernels that measure it compute."""

import time

import numpy as np
import pytest
from tests.helios.spirv.tools import validate

from alpha_core.dtype import DType
from alpha_core.errors import UsageError
from alpha_core.recording.launch import KernelSpec
from alpha_helios.backend import Helios
from alpha_helios.compiler import build_kernel
from alpha_helios.coop import fragments
from alpha_helios.kernels.matmul_coop import Fragment
from alpha_helios.kernels.peak import CHAINS, UNROLLED, product_chains
from alpha_helios.peak import multiply_add_work, product_work
from alpha_helios.planner import planner
from alpha_helios.vulkan.null_device import NULL_GPU

SIZE = 192


def product_rate(helios: Helios) -> float:
    """FLOP/s of a matrix product."""
    x = np.ones((SIZE, SIZE), np.float32)
    a = helios.upload(x)
    program = helios.record(lambda: [helios.matmul(a, a)], [], name="product")
    program()
    times = []
    for _ in range(5):
        helios.device.wait()
        start = time.perf_counter()
        program()
        helios.device.wait()
        times.append(time.perf_counter() - start)
    return 2.0 * SIZE**3 / min(times)


def test_the_ceiling_is_above_what_products_reach(helios: Helios) -> None:
    peak = helios.peak_flops(DType.f32)
    assert peak is not None
    assert peak > product_rate(helios)
    assert helios.peak_flops(DType.f64) is None


def test_a_device_that_computes_nothing_has_no_ceiling() -> None:
    assert planner(NULL_GPU).peak_flops(DType.f32) is None


def test_numbers_go_where_their_chain_leads(helios: Helios) -> None:
    """x = 0.5 x + 0.25 comes to 0.5 from everywhere."""
    work = multiply_add_work(helios, groups=3)
    helios.queue.add(work.launch(10))
    np.testing.assert_array_equal(helios.download(work.out), np.full(3 * 128, 0.5 * CHAINS["multiply_add_chains"]))
    assert work.flops == 2 * 16 * 16 * 3 * 128


def test_matrices_add_up_all_products(helios: Helios) -> None:
    able = fragments(helios.info, "f16")
    if not able:
        pytest.skip(f"needs a Vulkan device with cooperative matrices; there is {helios.info.name}")
    turns, chains = 3, CHAINS["product_chains"]
    work = product_work(helios, 2, DType.f16, able[0])
    helios.queue.add(work.launch(turns))
    once = able[0].k * 2.0**-18  # of each chain, an element of one product
    want = sum(range(chains)) + chains * turns * UNROLLED * once
    np.testing.assert_allclose(helios.download(work.out), want, rtol=1e-6)


def test_matrices_of_bf16_are_valid_code() -> None:
    """No device that computes on the processor has them."""
    binary = build_kernel(
        KernelSpec.of(product_chains, dtype="bf16", fragment=Fragment(16, 16, 16), workgroup=128, subgroup=32)
    )
    assert "shaderBFloat16CooperativeMatrix" in binary.requirements
    validate(binary)


def test_knobs_are_what_they_say(helios: Helios) -> None:
    tune, queue = helios.knobs
    assert (tune.name, tune.changes_results) == ("tune", True)
    assert (queue.name, queue.value, queue.changes_results) == ("queue", 128, False)
    submitted: list[int] = []
    try:
        for most in (32, 128):
            helios.set_knob("queue", most)
            helios.queue.flush()
            before, x = helios.device.submitted, helios.upload(np.ones(8, np.float32))
            for _ in range(120):
                x = helios.mul(x, 1.5)
            submitted.append(helios.device.submitted - before)
        helios.set_knob("tune", 1)
        assert helios.tuner.measures
        with pytest.raises(UsageError, match="has no knob `queues`"):
            helios.set_knob("queues", 1)
    finally:
        helios.set_knob("queue", 128)
        helios.set_knob("tune", tune.value)
    assert submitted[0] >= submitted[1] + 2
    assert [knob.value for knob in helios.knobs] == [tune.value, 128]


def test_a_planner_measures_nothing() -> None:
    backend = planner(None)
    backend.set_knob("tune", 1)
    assert not backend.tuner.measures
