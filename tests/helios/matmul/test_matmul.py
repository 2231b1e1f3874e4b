"""Matrix products as ops: batches, strides, 16 bits, quantized weights, and what is fused with them."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helios.effort import examples
from tests.helios.matmul.products import Array, bound, exact, normal, rounded, stored_as

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, ShapeError
from alpha_core.expression import X, coefficient, sigmoid
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.product import Epilogue, Problem, Task
from alpha_helios.variants import Streamed, Tiled, variants

HALVES = (DType.f16, DType.bf16)
sizes = st.integers(1, 40)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(params=HALVES, ids=str)
def halves(helios: Helios, request: pytest.FixtureRequest) -> Iterator[Helios]:
    """The backend with products of 16-bit operands."""
    helios.set_matmul_dtype(request.param)
    yield helios
    helios.set_matmul_dtype(DType.f32)


def recorded(helios: Helios, function: Callable[..., Sequence[Tensor]], *inputs: Array) -> tuple[list[bytes], int]:
    """Returns the bits of what a recorded function gives, and how many kernels it runs."""
    program = helios.record(function, inputs, name="test")
    return [helios.download(out).tobytes() for out in program(*inputs)], program.dispatches


def one_by_one(helios: Helios, function: Callable[..., Sequence[Tensor]], *inputs: Array) -> list[bytes]:
    return [helios.download(out).tobytes() for out in function(*map(helios.upload, inputs))]


BATCHES = (
    ((2, 3, 40, 70), (2, 3, 70, 33)),
    ((2, 1, 5, 4), (3, 4, 7)),
    ((2, 1, 3, 1, 40, 40), (1, 4, 1, 2, 40, 40)),
    ((3, 50, 64), (64, 70)),
    ((50, 64), (3, 64, 70)),
    ((2, 3, 1, 40), (40, 50)),
    ((4, 1, 40), (4, 40, 8)),
    ((2, 0, 4), (4, 3)),
    ((2, 3, 0), (0, 5)),
)


@pytest.mark.parametrize(("left", "right"), BATCHES, ids=str)
def test_batches_broadcast(
    helios: Helios, left: tuple[int, ...], right: tuple[int, ...], rng: np.random.Generator
) -> None:
    a, b = normal(rng, *left), normal(rng, *right)
    result = helios.download(helios.matmul(helios.upload(a), helios.upload(b)))
    expected = exact(a, b)
    assert result.shape == expected.shape
    assert (np.abs(result - expected) <= bound(a, b)).all()


@examples(15)
@given(st.lists(st.integers(1, 3), max_size=3), sizes, sizes, sizes, st.booleans(), st.booleans(), st.data())
def test_operands_are_read_where_they_stand(
    helios: Helios, lead: list[int], m: int, inner: int, n: int, ta: bool, tb: bool, data: st.DataObject
) -> None:
    """Slices, transposed matrices, axes that move: in a program they are views, whose strides the kernels follow."""
    rng = np.random.default_rng(m * 1681 + inner * 41 + n)
    arrays, starts, axes = [], [], []
    for rows, columns in (((inner, m) if ta else (m, inner)), ((n, inner) if tb else (inner, n))):
        order = data.draw(st.permutations(range(len(lead) + 2)))
        shape = [*lead, rows, columns]
        starts.append(data.draw(st.integers(0, 5)))
        axes.append(order)
        stored = [0] * len(shape)
        for place, axis in enumerate(order):
            stored[axis] = shape[place]
        stored[-1] += starts[-1] + data.draw(st.integers(0, 3))
        arrays.append((normal(rng, *stored), shape))

    def view(x: Tensor, which: int) -> Tensor:
        shape, order = arrays[which][1], axes[which]
        length = shape[order.index(len(shape) - 1)]
        return helios.transpose(helios.slice(x, -1, starts[which], starts[which] + length), tuple(order))

    def step(a: Tensor, b: Tensor) -> list[Tensor]:
        return [helios.matmul(view(a, 0), view(b, 1), ta, tb)]

    a, b = arrays[0][0], arrays[1][0]
    (bits,), _ = recorded(helios, step, a, b)
    dense = [helios.download(view(helios.upload(x), which)) for which, x in enumerate((a, b))]
    expected = exact(*dense, ta, tb)
    result = np.frombuffer(bits, np.float32).reshape(expected.shape)
    assert (np.abs(result - expected) <= bound(*dense, ta, tb)).all()


@pytest.mark.parametrize("stored", [(DType.f16, DType.bf16), (DType.bf16, DType.f32), (DType.f32, DType.f16)], ids=str)
@pytest.mark.parametrize("rows", [3, 70])
def test_operands_may_be_stored_in_any_mixture(
    helios: Helios, stored: tuple[DType, DType], rows: int, rng: np.random.Generator
) -> None:
    a, b = normal(rng, rows, 44), normal(rng, 36, 44)
    tensors, values = [], []
    for x, dtype in zip((a, b), stored, strict=True):
        tensors.append(helios.upload(x) if dtype is DType.f32 else stored_as(helios, x, dtype))
        values.append(x if dtype is DType.f32 else rounded(x, dtype))
    result = helios.matmul(*tensors, transpose_b=True)
    assert stored_dtype(result) is DType.f32
    assert (np.abs(helios.download(result) - exact(*values, transpose_b=True)) <= bound(*values, False, True)).all()


@pytest.mark.parametrize("shape", [(3, 44, 36), (70, 33, 65), (1100, 8, 20), (3, 8, 1100)], ids=str)
def test_in_16_bits_operands_are_rounded_and_sums_are_not(
    halves: Helios, shape: tuple[int, int, int], rng: np.random.Generator
) -> None:
    rows, inner, columns = shape
    a, b = normal(rng, rows, inner), normal(rng, columns, inner)
    a[0, 0], b[0, 0] = 1 + 2.0**-11 + 2.0**-9, -1 - 2.0**-11  # ties for f16 and bf16
    result = halves.matmul(halves.upload(a), halves.upload(b), transpose_b=True)
    assert stored_dtype(result) is halves.matmul_dtype
    left, right = (rounded(x, halves.matmul_dtype) for x in (a, b))
    expected = exact(left, right, transpose_b=True)
    unit = 2.0**-11 if halves.matmul_dtype is DType.f16 else 2.0**-8
    allowed = bound(left, right, False, True) + unit * np.abs(expected) + 2.0**-25
    assert (np.abs(halves.download(result) - expected) <= allowed).all()


def test_in_16_bits_every_kind_of_number_is_rounded_to_nearest_even(halves: Helios) -> None:
    edges = np.array([0.0, 1.0, 65504.0, 65519.0, 65520.0, 3.3895e38, 3.4e38, 2.0**-14, 2.0**-24, 2.0**-25, np.inf])
    ties = 1 + np.arange(64) * 2.0**-12
    values = np.concatenate([edges, ties, ties * 2.0**-20, [np.nan]]).astype(np.float32)
    values = np.concatenate([values, -values])[:, None]
    result = halves.download(halves.matmul(halves.upload(values), halves.upload(np.ones((1, 1), np.float32))))
    expected = rounded(values, halves.matmul_dtype)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", [DType.bf16, DType.i8], ids=str)
@pytest.mark.parametrize(
    "shape", [(1, 64, 33), (5, 48, 20), (16, 20, 7), (9, 33, 18), (40, 64, 36), (50, 31, 1)], ids=str
)
def test_quantized_weights_are_multiplied_as_they_are(
    helios: Helios, dtype: DType, shape: tuple[int, int, int], rng: np.random.Generator
) -> None:
    rows, inner, columns = shape
    x, scale = normal(rng, rows, inner), rng.uniform(0.5, 2, columns).astype(np.float32)
    values = rng.integers(-127, 128, (columns, inner)).astype(np.float32)
    weight = helios.upload(values, dtype)
    for factor in (None, scale):
        result = helios.quantized_matmul(helios.upload(x), weight, None if factor is None else helios.upload(factor))
        real = values if factor is None else values * factor[:, None].astype(np.float64)
        allowed = 2 * bound(x, real, False, True)
        assert (np.abs(helios.download(result) - exact(x, real, transpose_b=True)) <= allowed).all()


def test_quantized_products_refuse_what_does_not_fit(helios: Helios, rng: np.random.Generator) -> None:
    x, weight = helios.upload(normal(rng, 3, 8)), helios.upload(np.ones((4, 8), np.int8))
    with pytest.raises(ShapeError, match="inner lengths"):
        helios.quantized_matmul(x, helios.upload(np.ones((4, 9), np.int8)))
    with pytest.raises(ShapeError, match="scale"):
        helios.quantized_matmul(x, weight, helios.upload(normal(rng, 3)))
    with pytest.raises(DTypeError, match="weight"):
        helios.quantized_matmul(x, x)


WAYS = (
    (Streamed(2, 4, None), (3, 40, 50)),
    (Tiled("32x32x16"), (70, 33, 36)),
    (Tiled("64x64x16"), (65, 40, 41)),
    (Tiled("32x32x16", 3), (12, 100, 8)),
)
"""Few rows, tiles with edges whose elements are finished by fours or one by one, and sums in parts; with sizes."""


@pytest.fixture(params=WAYS, ids=lambda way: str(way[0]))
def sizes_of_way(
    helios: Helios, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int, int]:
    """Rows, inner length and columns of products, which are computed in one way whatever the rule would pick."""
    way, sizes_of_products = request.param
    monkeypatch.setattr(helios.tuner, "choose", lambda key, variants, make: way)
    return sizes_of_products  # type: ignore[no-any-return]


@pytest.fixture(params=[DType.f32, *HALVES], ids=str)
def precision(helios: Helios, request: pytest.FixtureRequest) -> Iterator[DType]:
    helios.set_matmul_dtype(request.param)
    yield request.param
    helios.set_matmul_dtype(DType.f32)


@pytest.mark.usefixtures("precision")
def test_a_gradient_is_added_to_in_place_with_the_bits_of_two_ops(
    helios: Helios, sizes_of_way: tuple[int, int, int], rng: np.random.Generator
) -> None:
    rows, inner, columns = sizes_of_way
    a, b, start = normal(rng, rows, inner), normal(rng, columns, inner), normal(rng, rows, columns)
    total, separate = helios.upload(start), helios.upload(start)

    def accumulate(x: Tensor, y: Tensor, to: Tensor) -> list[Tensor]:
        helios.add_into(to, helios.matmul(x, y, transpose_b=True))
        return []

    program = helios.record(lambda x, y: accumulate(x, y, total), [a, b], name="test")
    program(a, b)
    accumulate(helios.upload(a), helios.upload(b), separate)
    product = helios.record(lambda x, y: [helios.matmul(x, y, transpose_b=True)], [a, b], name="test")
    assert helios.download(total).tobytes() == helios.download(separate).tobytes()
    assert helios.download(total).tobytes() != start.tobytes()
    assert program.dispatches == product.dispatches


@pytest.mark.usefixtures("precision")
def test_a_bias_and_a_residual_are_added_with_the_bits_of_three_ops(
    helios: Helios, sizes_of_way: tuple[int, int, int], rng: np.random.Generator
) -> None:
    rows, inner, columns = sizes_of_way
    inputs = normal(rng, rows, inner), normal(rng, columns, inner), normal(rng, columns), normal(rng, rows, columns)

    def product(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> list[Tensor]:
        return [helios.matmul(x, weight, transpose_b=True)]

    def step(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> list[Tensor]:
        return [helios.add(residual, helios.add(helios.matmul(x, weight, transpose_b=True), bias))]

    together, launches = recorded(helios, step, *inputs)
    assert together == one_by_one(helios, step, *inputs)
    assert launches == recorded(helios, product, *inputs)[1]


@pytest.mark.usefixtures("precision")
def test_an_activation_is_computed_with_the_bits_of_two_ops(
    helios: Helios, sizes_of_way: tuple[int, int, int], rng: np.random.Generator
) -> None:
    rows, inner, columns = sizes_of_way
    expression = X * sigmoid(coefficient("slope", 1.0) * X)
    inputs = normal(rng, rows, inner), normal(rng, columns, inner), normal(rng, columns), normal(rng, columns)

    def product(x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor) -> list[Tensor]:
        return [helios.matmul(x, weight, transpose_b=True)]

    def step(x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor) -> list[Tensor]:
        plain = helios.matmul(x, weight, transpose_b=True)
        return [plain, helios.bias_activation(plain, bias, expression, [slope])]

    together, launches = recorded(helios, step, *inputs)
    assert together == one_by_one(helios, step, *inputs)
    assert launches == recorded(helios, product, *inputs)[1]


def test_each_product_of_a_batch_has_its_part_of_a_residual(helios: Helios, rng: np.random.Generator) -> None:
    inputs = normal(rng, 2, 3, 20, 24), normal(rng, 3, 24, 36), normal(rng, 36), normal(rng, 2, 3, 20, 36)

    def step(a: Tensor, b: Tensor, bias: Tensor, residual: Tensor) -> list[Tensor]:
        return [helios.add(helios.add(helios.matmul(a, b), bias), residual)]

    together, launches = recorded(helios, step, *inputs)
    assert together == one_by_one(helios, step, *inputs)
    assert launches == 1


def test_a_column_takes_an_addition_but_no_bias(helios: Helios, rng: np.random.Generator) -> None:
    """Its product is computed as that of the transposed operands, whose columns have no bias in common."""
    inputs = normal(rng, 40, 24), normal(rng, 1, 24), normal(rng, 1)

    def step(x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
        return [helios.add(helios.matmul(x, weight, transpose_b=True), bias)]

    assert recorded(helios, step, *inputs)[0] == one_by_one(helios, step, *inputs)


def test_results_repeat_bit_for_bit(helios: Helios, rng: np.random.Generator) -> None:
    a, b = normal(rng, 3000, 60), normal(rng, 3000, 50)

    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        return [helios.matmul(x, y, transpose_a=True)]

    results = {recorded(helios, step, a, b)[0][0] for _ in range(2)} | {one_by_one(helios, step, a, b)[0]}
    assert len(results) == 1


def test_the_work_of_a_launch_is_stated(helios: Helios) -> None:
    a, b, out = helios.empty((2, 30, 40)), helios.empty((40, 50)), helios.empty((2, 30, 50))
    task = Task(Problem.of(a, b, False, False, out.shape), out, helios.empty, epilogue=Epilogue())
    for variant in variants(task, helios.info):
        launches = variant.launches(task)
        assert launches[0].flops == 2 * 2 * 30 * 40 * 50
        if isinstance(variant, Tiled) and variant.parts == 1:
            assert launches[0].nbytes == 4 * (2 * 30 * 40 + 40 * 50 + 2 * 30 * 50)


def test_with_tuning_the_fastest_variant_is_kept(rng: np.random.Generator) -> None:
    a, b = normal(rng, 20, 600), normal(rng, 600, 20)
    helios = Helios(tune=True)
    try:
        result = helios.download(helios.matmul(helios.upload(a), helios.upload(b)))
        assert (np.abs(result - exact(a, b)) <= bound(a, b)).all()
        again = helios.download(helios.matmul(helios.upload(a), helios.upload(b)))
        assert result.tobytes() == again.tobytes()
    finally:
        helios.close()
