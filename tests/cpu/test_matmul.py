"""Matrix products of the backend `cpu`: every kernel that can be chosen, at every level, against float64."""

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("llvmlite")

from tests.cpu.backends import InParts, cpu, levels

from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.expression import X, coefficient, sigmoid
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.ops.matmul import Epilogue, matmul_launches
from alpha_tensor.cpu.target import host_target
from alpha_tensor.cpu_ref.backend import CpuRef

Array = npt.NDArray[np.float32]

SHAPES = (
    (1, 1, 1),
    (3, 5, 7),
    (8, 8, 8),
    (1, 300, 130),
    (5, 31, 67),
    (300, 40, 1),
    (7, 1, 5),
    (3, 0, 4),
    (21, 65, 47),
    (33, 65, 17),
    (97, 255, 100),
    (160, 96, 129),
    (100, 2100, 98),
)
"""Rows, inner length, columns: below and above every block of the kernels, and sums in several parts."""
RAGGED = (97, 255, 130)
BF16_LEVELS = ("avx512bf16", "amx")
needs_tiles = pytest.mark.skipif(host_target().level != "amx", reason="needs a processor with tile registers")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "kernels"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def _error(result: npt.NDArray[np.float64] | Array, exact: npt.NDArray[np.float64]) -> float:
    return float(np.linalg.norm(result - exact)) / max(float(np.linalg.norm(exact)), 1e-300)


def _exact(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> npt.NDArray[np.float64]:
    left, right = a.astype(np.float64), b.astype(np.float64)
    result: npt.NDArray[np.float64] = (left.mT if transpose_a else left) @ (right.mT if transpose_b else right)
    return result


def _run(
    backend: Cpu,
    a: Tensor,
    b: Tensor,
    out: Tensor,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
    epilogue: Epilogue | None = None,
) -> None:
    launches = matmul_launches(
        backend.target,
        a,
        b,
        transpose_a,
        transpose_b,
        out,
        accumulate=accumulate,
        epilogue=epilogue,
        matmul_dtype=backend.matmul_dtype,
        empty=backend.empty,
    )
    for launch in launches:
        backend.run(launch)


@pytest.mark.parametrize(
    ("level", "dtype"),
    [
        *((level, DType.f32) for level in levels()),
        *((level, DType.bf16) for level in levels() if level in BF16_LEVELS),
    ],
    ids=str,
)
def test_products_of_all_shapes_and_transposes_are_exact_to_f32(
    level: str, dtype: DType, folder: Path, rng: np.random.Generator
) -> None:
    backend = cpu(folder, level)
    backend.set_matmul_dtype(dtype)
    for (rows, inner, columns), transpose_a, transpose_b in product(SHAPES, (False, True), (False, True)):
        a = _normal(rng, *((inner, rows) if transpose_a else (rows, inner)))
        b = _normal(rng, *((columns, inner) if transpose_b else (inner, columns)))
        result = backend.download(backend.matmul(backend.upload(a), backend.upload(b), transpose_a, transpose_b))
        if dtype is DType.bf16:
            a, b = (bf16_values(bf16_bits(x)) for x in (a, b))
        assert result.shape == (rows, columns)
        assert _error(result, _exact(a, b, transpose_a, transpose_b)) < 2e-6, (rows, inner, columns)


@pytest.mark.parametrize("level", levels())
def test_batches_broadcast_and_operands_may_be_strided(level: str, folder: Path, rng: np.random.Generator) -> None:
    backend = cpu(folder, level)
    shapes = [
        ((2, 3, 40, 70), (2, 3, 70, 33)),
        ((2, 1, 5, 4), (3, 4, 7)),
        ((2, 1, 3, 1, 40, 40), (1, 4, 1, 2, 40, 40)),
        ((3, 50, 64), (64, 70)),
        ((50, 64), (3, 64, 70)),
        ((2, 3, 1, 40), (40, 50)),
        ((4, 100, 100), (4, 100, 100)),
    ]
    for left, right in shapes:
        a, b = _normal(rng, *left), _normal(rng, *right)
        result = backend.download(backend.matmul(backend.upload(a), backend.upload(b)))
        assert _error(result, _exact(a, b)) < 2e-6, (left, right)
    wide = _normal(rng, 2, 40, 3, 64)  # heads beside each other
    heads = backend.transpose(backend.upload(wide), (0, 2, 1, 3))
    scores = backend.download(backend.matmul(heads, heads, transpose_b=True))
    split = np.ascontiguousarray(wide.transpose(0, 2, 1, 3))
    assert _error(scores, _exact(split, split, transpose_b=True)) < 2e-6
    every_second = backend.transpose(backend.upload(_normal(rng, 40, 30, 2)), (2, 0, 1))
    matrix = backend.reshape(backend.slice(every_second, 0, 1, 2), (40, 30))  # no direction without gaps
    result = backend.download(backend.matmul(matrix, matrix, transpose_b=True))
    dense = backend.download(matrix)
    assert _error(result, _exact(dense, dense, transpose_b=True)) < 2e-6


@needs_tiles
@pytest.mark.parametrize("inner", [64, 1536])
@pytest.mark.parametrize("data", ["normal", "positive", "rows", "elements", "tiny", "largest"])
def test_f32_products_on_tiles_are_as_close_as_multiply_adds(
    data: str, inner: int, folder: Path, rng: np.random.Generator
) -> None:
    a, b = _normal(rng, 256, inner), _normal(rng, inner, 160)
    if data == "positive":
        a, b = np.abs(a), np.abs(b)
    elif data == "rows":
        a *= 10.0 ** rng.uniform(-30, 30, (256, 1)).astype(np.float32)
    elif data == "elements":
        a *= 10.0 ** rng.uniform(-10, 10, a.shape).astype(np.float32)
    elif data == "tiny":
        a *= np.float32(1e-30)
    elif data == "largest":
        a[:, ::50] = np.finfo(np.float32).max * rng.uniform(0.99, 1, a[:, ::50].shape)
        b *= np.float32(1e-3)
    scale = np.abs(a).max(axis=1, keepdims=True).astype(np.float64)
    exact = _exact(a, b) / scale
    errors = {}
    for level in ("avx512", "amx"):
        backend = cpu(folder, level)
        result = backend.download(backend.matmul(backend.upload(a), backend.upload(b)))
        errors[level] = _error(result / scale, exact)
    # Within an instruction sums start from 0, which helps; a sum of a few large terms is rounded more often.
    few_terms = data in ("elements", "largest")
    assert errors["amx"] < (2.5 if few_terms else 1.0) * errors["avx512"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_reaches_its_row_and_no_other(
    value: float, folder: Path, rng: np.random.Generator
) -> None:
    a, b = _normal(rng, 130, 255), _normal(rng, 255, 130)
    a[77, 254] = value
    for level in levels():
        backend = cpu(folder, level)
        finite = np.isfinite(backend.download(backend.matmul(backend.upload(a), backend.upload(b))))
        assert not finite[77].any()
        assert np.delete(finite, 77, axis=0).all()


@pytest.mark.parametrize("shape", [(5, 300, 70), RAGGED, (64, 64, 64), (256, 256, 160), (100, 2100, 98)], ids=str)
@pytest.mark.parametrize("dtype", [DType.f32, DType.bf16], ids=str)
def test_bits_do_not_depend_on_the_parts(
    shape: tuple[int, int, int], dtype: DType, folder: Path, rng: np.random.Generator
) -> None:
    if dtype is DType.bf16 and not host_target().has_bf16:
        pytest.skip("needs a processor with bf16 products")
    rows, inner, columns = shape
    a, b = _normal(rng, rows, inner), _normal(rng, columns, inner)
    results = set()
    for parts in (1, 2, 3, 5, 64):
        backend = InParts(folder, parts)
        backend.set_matmul_dtype(dtype)
        results.add(backend.download(backend.matmul(backend.upload(a), backend.upload(b), transpose_b=True)).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("shape", [(3, 40, 50), RAGGED, (100, 2100, 98)], ids=str)
def test_a_product_added_to_a_tensor_equals_the_two_ops_bit_for_bit(
    shape: tuple[int, int, int], level: str, folder: Path, rng: np.random.Generator
) -> None:
    rows, inner, columns = shape
    backend = cpu(folder, level)
    a, b = backend.upload(_normal(rng, inner, rows)), backend.upload(_normal(rng, inner, columns))
    start = _normal(rng, rows, columns)
    fused, separate = backend.upload(start), backend.upload(start)
    _run(backend, a, b, fused, transpose_a=True, accumulate=True)
    backend.add_into(separate, backend.matmul(a, b, transpose_a=True))
    assert backend.download(fused).tobytes() == backend.download(separate).tobytes()


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("shape", [(3, 40, 50), RAGGED, (192, 64, 192), (100, 2100, 98)], ids=str)
def test_epilogues_equal_the_ops_one_by_one_bit_for_bit(
    shape: tuple[int, int, int], level: str, folder: Path, rng: np.random.Generator
) -> None:
    rows, inner, columns = shape
    backend = cpu(folder, level)
    x, weight = backend.upload(_normal(rng, rows, inner)), backend.upload(_normal(rng, columns, inner))
    bias, slope = backend.upload(_normal(rng, columns)), backend.upload(_normal(rng, columns))
    residual = backend.upload(_normal(rng, rows, columns))
    plain = backend.matmul(x, weight, transpose_b=True)
    out, activated = backend.empty(plain.shape), backend.empty(plain.shape)

    _run(backend, x, weight, out, transpose_b=True, epilogue=Epilogue(bias, residual=residual))
    expected = backend.add(residual, backend.add(plain, bias))
    assert backend.download(out).tobytes() == backend.download(expected).tobytes()

    expression = X * sigmoid(coefficient("slope", 1.0) * X)
    epilogue = Epilogue(bias, expression, (slope,), activated)
    _run(backend, x, weight, out, transpose_b=True, epilogue=epilogue)
    assert backend.download(out).tobytes() == backend.download(plain).tobytes()
    expected = backend.bias_activation(plain, bias, expression, [slope])
    assert backend.download(activated).tobytes() == backend.download(expected).tobytes()


def test_a_product_with_an_epilogue_cannot_be_accumulated(folder: Path) -> None:
    backend = cpu(folder)
    square = backend.upload(np.ones((3, 3), np.float32))
    with pytest.raises(ValueError, match="epilogue"):
        _run(backend, square, square, square, accumulate=True, epilogue=Epilogue())


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [DType.bf16, DType.i8], ids=str)
@pytest.mark.parametrize("rows", [1, 3, 8, 20, 40])
def test_products_with_quantized_weights_equal_the_reference(
    rows: int, dtype: DType, level: str, folder: Path, rng: np.random.Generator
) -> None:
    x, scale = _normal(rng, rows, 77), _normal(rng, 45)
    stored = rng.integers(-127, 128, (45, 77))
    weight = stored.astype(np.int8) if dtype is DType.i8 else (stored / 8).astype(np.float32)
    backend, reference = cpu(folder, level), CpuRef()
    for scales in (scale, None):
        results = [
            b.download(
                b.quantized_matmul(
                    b.upload(x.astype(kind)),
                    b.upload(weight, dtype),
                    None if scales is None else b.upload(scales.astype(kind)),
                )
            )
            for b, kind in ((backend, np.float32), (reference, np.float64))
        ]
        assert _error(results[0], results[1].astype(np.float64)) < 2e-6
