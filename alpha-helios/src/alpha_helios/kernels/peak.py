"""Kernels that do nothing but arithmetic, to see how much of it a device does at most."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.matmul_coop import Fragment
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import bf16, f16, f32

__all__ = ["CHAINS", "UNROLLED", "multiply_add_chains", "product_chains"]

CHAINS = {"multiply_add_chains": 16, "product_chains": 8}
"""Results of an invocation, or of a subgroup, that do not wait for each other."""
UNROLLED = 16
"""Steps of each in a turn of the loop, so that the loop itself does not count."""


def multiply_add_chains(k: Kernel) -> None:
    """x = x a + b for some x of each invocation, `UNROLLED` times a turn.

    Arguments: out (one for each invocation); turns, a, b.
    """
    out, turns, factor, addend = k.pointer(), k.integer(), k.number(), k.number()
    chains = [k.variable(float(number), f32) for number in range(CHAINS["multiply_add_chains"])]
    with k.range_(0, turns):
        values = [chain.value for chain in chains]
        for _ in range(UNROLLED):
            values = [k.fma(value, factor, addend) for value in values]
        for chain, value in zip(chains, values, strict=True):
            chain.value = value
    total = chains[0].value
    for chain in chains[1:]:
        total = total + chain.value
    out[linear_group(k) * k.invocations + k.local_index] = total


def product_chains(k: Kernel, *, dtype: str, fragment: Fragment) -> None:
    """s = s + a b for some matrices s of each subgroup, `UNROLLED` times a turn.

    Arguments: out (a matrix for each subgroup); the elements of a matrix, which serve as a and b; turns.
    """
    factor = {"f16": f16, "bf16": bf16}[dtype]
    out, source, turns = k.pointer(), k.pointer(factor, readonly=True), k.integer()
    a = k.coop_load(k.coop_matrix(factor, fragment.m, fragment.k, "a"), source, 0, stride=fragment.k)
    b = k.coop_load(k.coop_matrix(factor, fragment.k, fragment.n, "b"), source, 0, stride=fragment.n)
    kind = k.coop_matrix(f32, fragment.m, fragment.n, "accumulator")
    chains = [k.coop_variable(k.coop_fill(kind, number)) for number in range(CHAINS["product_chains"])]
    with k.range_(0, turns):
        for chain in chains:
            total = chain.value
            for _ in range(UNROLLED):
                total = k.coop_muladd(a, b, total)
            chain.value = total
    total = chains[0].value
    for chain in chains[1:]:
        total = total + chain.value
    place = linear_group(k) * (k.invocations // (k.required_subgroup or k.invocations)) + k.subgroup_id
    k.coop_store(out, place * (fragment.m * fragment.n), total, stride=fragment.n)
