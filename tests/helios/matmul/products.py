"""Operands of matrix products, exact results, and how far from them f32 may be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Shape, Tensor
from alpha_helios.backend import Helios
from alpha_helios.product import Epilogue, Problem, Task
from alpha_helios.variants import Variant

Array = npt.NDArray[np.float32]


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def exact(a: npt.NDArray[Any], b: npt.NDArray[Any], transpose_a: bool = False, transpose_b: bool = False) -> Any:
    left, right = a.astype(np.float64), b.astype(np.float64)
    return (left.mT if transpose_a else left) @ (right.mT if transpose_b else right)


def bound(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """The most by which sums in f32, in any order, may differ from exact ones: K + 1 roundings of the sum of sizes."""
    length = a.shape[-2 if transpose_a else -1]
    return (length + 1) * 2.0**-24 * exact(np.abs(a), np.abs(b), transpose_a, transpose_b) + 1e-37


def rounded(values: npt.NDArray[Any], dtype: DType) -> Array:
    """What f16 or bf16 keep of numbers."""
    if dtype is DType.bf16:
        return bf16_values(bf16_bits(values))
    with np.errstate(over="ignore"):
        return values.astype(dtype.numpy).astype(np.float32)


def operands(rng: np.random.Generator, rows: int, inner: int, columns: int, ta: bool, tb: bool) -> tuple[Array, Array]:
    return (
        normal(rng, *((inner, rows) if ta else (rows, inner))),
        normal(rng, *((columns, inner) if tb else (inner, columns))),
    )


def computed(
    helios: Helios, variant: Variant, a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape
) -> Array:
    """Runs one variant on operands as they are."""
    out = helios.empty(shape)
    task = Task(Problem.of(a, b, transpose_a, transpose_b, shape), out, helios.empty, epilogue=Epilogue())
    for launch in variant.launches(task):
        helios.run(launch)
    return helios.download(out)


def stored_as(helios: Helios, values: Array, dtype: DType) -> Tensor:
    """Uploads an f32 tensor that is stored in 16 bits."""
    before, helios.matmul_dtype = helios.matmul_dtype, dtype
    try:
        tensor = helios.activation(values.shape)
        helios.assign(tensor, helios.upload(values))
    finally:
        helios.matmul_dtype = before
    assert stored_dtype(tensor) is dtype
    return tensor


def straddling(sizes: Sequence[int]) -> list[int]:
    """Lengths on both sides of each limit, aligned to 4 and not."""
    return sorted({1, 2, 3, 4, 5, *(size + by for size in sizes for by in (-4, -1, 0, 1, 4))})
