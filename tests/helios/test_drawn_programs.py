"""Drawn programs: graphs of ops with views, reuse of results and writing in place, recorded beside called, bit for bit.

A run takes some, the same ones every time. `ALPHA_HELIOS_PROGRAMS=1000` draws more.
"""

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_core.expression import X, sigmoid
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

PROGRAMS = int(os.environ.get("ALPHA_HELIOS_PROGRAMS", "24"))
ROWS, WIDTH = 6, 20
GELU = X * sigmoid(1.702 * X)

Step = Callable[[Helios, "Drawn"], None]


class Drawn:
    """A program that is being drawn: results that later ops may take, and tensors outside that it may change."""

    def __init__(self, rng: np.random.Generator, inputs: Sequence[Tensor], captured: Sequence[Tensor]) -> None:
        self.rng = rng
        self.matrices = [*inputs, *captured]  # all of (ROWS, WIDTH)
        self.captured = list(captured)

    def one(self) -> Tensor:
        """Some matrix, more often a recent one."""
        recent = self.matrices[-4:] if self.rng.random() < 0.6 else self.matrices
        return recent[int(self.rng.integers(0, len(recent)))]

    def column(self, b: Helios) -> Tensor:
        """A vector of WIDTH numbers."""
        return b.reshape(b.slice(self.one(), 0, 2, 3), (WIDTH,))


def _elementwise(b: Helios, drawn: Drawn) -> Tensor:
    op = str(drawn.rng.choice(["add", "sub", "mul", "maximum"]))
    other = drawn.column(b) if drawn.rng.random() < 0.3 else drawn.one()
    result: Tensor = getattr(b, op)(drawn.one(), other)
    return b.tanh(result)  # so that nothing grows without end


def _product(b: Helios, drawn: Drawn) -> Tensor:
    square = b.matmul(drawn.one(), drawn.one(), transpose_a=True)  # (WIDTH, WIDTH)
    return b.tanh(b.matmul(drawn.one(), b.mul(square, 0.1), transpose_b=bool(drawn.rng.random() < 0.5)))


def _biased_product(b: Helios, drawn: Drawn) -> Tensor:
    weight = b.matmul(drawn.one(), drawn.one(), transpose_a=True)
    product = b.matmul(drawn.one(), b.mul(weight, 0.1))
    activated = b.bias_activation(product, drawn.column(b), GELU)
    return b.add(activated, drawn.one()) if drawn.rng.random() < 0.5 else activated


def _normalized(b: Helios, drawn: Drawn) -> Tensor:
    if drawn.rng.random() < 0.5:
        return b.rms_norm(drawn.one(), drawn.column(b))
    return b.layer_norm(drawn.one(), drawn.column(b), drawn.column(b))


def _softmax(b: Helios, drawn: Drawn) -> Tensor:
    return b.softmax(drawn.one())


def _turned(b: Helios, drawn: Drawn) -> Tensor:
    turned = b.transpose(drawn.one(), (1, 0))
    return b.reshape(turned, (ROWS, WIDTH)) if drawn.rng.random() < 0.5 else b.transpose(turned, (1, 0))


def _cut(b: Helios, drawn: Drawn) -> Tensor:
    at = int(drawn.rng.integers(1, WIDTH))
    parts = [b.slice(drawn.one(), 1, 0, at), b.slice(drawn.one(), 1, at, WIDTH)]
    return b.cat(parts, 1)


def _summed(b: Helios, drawn: Drawn) -> Tensor:
    axis = int(drawn.rng.integers(0, 2))
    return b.broadcast_to(b.mul(b.sum(drawn.one(), axis, True), 0.1), (ROWS, WIDTH))


def _added(b: Helios, drawn: Drawn) -> Tensor:
    target = drawn.captured[int(drawn.rng.integers(0, len(drawn.captured)))]
    b.add_into(target, b.mul(drawn.one(), 0.25))
    return target


def _assigned(b: Helios, drawn: Drawn) -> Tensor:
    target = drawn.captured[int(drawn.rng.integers(0, len(drawn.captured)))]
    b.assign(target, b.tanh(drawn.one()))
    return drawn.one()


def _attention(b: Helios, drawn: Drawn) -> Tensor:
    query, key, value = (b.reshape(drawn.one(), (1, 2, ROWS, WIDTH // 2)) for _ in range(3))
    mixed, _ = b.attention(query, key, value)
    return b.reshape(mixed, (ROWS, WIDTH))


KINDS = (
    *(_elementwise, _elementwise, _product, _biased_product, _normalized, _softmax, _turned, _cut, _summed, _added),
    *(_assigned, _attention),
)


def run(b: Helios, seed: int, inputs: Sequence[Tensor], captured: Sequence[Tensor]) -> list[Tensor]:
    """Takes the steps of the program with this seed, and returns some of what it made."""
    rng = np.random.default_rng(seed)
    drawn = Drawn(rng, inputs, captured)
    for _ in range(int(rng.integers(4, 24))):
        kind = KINDS[int(rng.integers(0, len(KINDS)))]
        drawn.matrices.append(kind(b, drawn))
    return [drawn.matrices[-1], drawn.one(), b.sum(drawn.one())]


def numbers(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ROWS, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("dtype", [DType.f32, DType.bf16])
def test_drawn_programs_have_the_bits_of_the_ops_called_one_by_one(dtype: DType, helios: Helios) -> None:
    helios.set_matmul_dtype(dtype)
    try:
        for seed in range(PROGRAMS // 2):
            _check(helios, seed)
    finally:
        helios.set_matmul_dtype(DType.f32)


def _check(b: Helios, seed: int) -> None:
    states = [[b.upload(numbers(100 + index)) for index in range(2)] for _ in range(2)]
    program = b.record(lambda *inputs: run(b, seed, inputs, states[0]), [numbers(0), numbers(1)], name=f"drawn {seed}")
    for call in range(2):
        inputs = [numbers(10 * call), numbers(10 * call + 1)]
        recorded = [*program(*inputs), *states[0]]
        got = [b.download(tensor) for tensor in recorded]
        called = [*run(b, seed, [b.upload(array) for array in inputs], states[1]), *states[1]]
        for index, (one, tensor) in enumerate(zip(got, called, strict=True)):
            np.testing.assert_array_equal(one, b.download(tensor), err_msg=f"program {seed}, call {call}, {index}")
