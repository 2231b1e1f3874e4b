"""Products by cooperative matrices beside float64, for every way in which operands lie and sums are finished."""

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helios.effort import THOROUGH, examples
from tests.helios.matmul.products import Array, bound, exact, normal, operands, rounded, stored_as, straddling

from alpha_core.dtype import DType
from alpha_core.expression import X, coefficient, sigmoid
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Shape, Tensor
from alpha_helios import blocked
from alpha_helios.backend import Helios
from alpha_helios.coop import CoopTiled, coop_variants
from alpha_helios.product import Problem, Task
from alpha_helios.variants import Variant, variants

flags = st.booleans()
by_element = pytest.mark.parametrize("by_element", [False, True], ids=["rows", "elements"])
turned = pytest.mark.parametrize("turned", [False, True], ids=["as they lie", "turned"])


def _task(helios: Helios, a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape) -> Task:
    problem = Problem.of(a, b, transpose_a, transpose_b, shape)
    return Task(problem, helios.empty(shape), helios.empty, rounded="f16")


def _variant(helios: Helios, task: Task, by_element: bool, parts: int = 1, *, last: bool = False) -> CoopTiled:
    """Returns the variant of the first tile that the device takes, or the last one, which is small."""
    found = [one for one in coop_variants(task, helios.info) if isinstance(one, CoopTiled)]
    return attrs.evolve(found[-1 if last else 0], parts=parts, by_element=by_element)


def _computed(helios: Helios, task: Task, variant: Variant) -> Array:
    for launch in variant.launches(task):
        helios.run(launch)
    return helios.download(task.out)


def _check(
    helios: Helios,
    a: Array,
    b: Array,
    transpose_a: bool,
    transpose_b: bool,
    by_element: bool,
    turned: bool = False,
    parts: int = 1,
    *,
    last: bool = False,
) -> None:
    left, right = (rounded(x, DType.f16) for x in (a, b))
    expected = exact(left, right, transpose_a, transpose_b)
    task = _task(helios, helios.upload(a), helios.upload(b), transpose_a, transpose_b, expected.shape)
    result = _computed(helios, task, attrs.evolve(_variant(helios, task, by_element, parts, last=last), turned=turned))
    difference = np.abs(result - expected)
    assert (difference <= bound(left, right, transpose_a, transpose_b)).all(), difference.max()


@turned
@by_element
def test_products_of_every_size_are_right(coop: Helios, by_element: bool, turned: bool) -> None:
    @examples(6)
    @given(
        st.sampled_from(straddling([8, 32, 64])),
        st.sampled_from([0, *straddling([8, 16, 48])]),
        st.sampled_from(straddling([8, 32, 64])),
        flags,
        flags,
        flags,
    )
    def check(rows: int, inner: int, columns: int, ta: bool, tb: bool, last: bool) -> None:
        a, b = operands(np.random.default_rng(rows * 7919 + inner * 31 + columns), rows, inner, columns, ta, tb)
        _check(coop, a, b, ta, tb, by_element, turned, last=last)

    check()


@pytest.mark.parametrize("by_element", [True, False] if THOROUGH else [True])
def test_more_matrices_for_each_subgroup_are_right(coop: Helios, by_element: bool) -> None:
    a, b = operands(np.random.default_rng(0), 50, 69, 70, True, False)
    task = _task(coop, coop.upload(a), coop.upload(b), True, False, (50, 70))
    variant = attrs.evolve(_variant(coop, task, by_element), tile="16x64x32", turned=by_element)
    left, right = rounded(a, DType.f16), rounded(b, DType.f16)
    difference = np.abs(_computed(coop, task, variant) - exact(left, right, transpose_a=True))
    assert (difference <= bound(left, right, True, False)).all()


@by_element
def test_batches_and_parts_are_right(coop: Helios, by_element: bool) -> None:
    @examples(4)
    @given(st.sampled_from([(2,), (2, 3)]), st.integers(1, 5), st.sampled_from(straddling([64])), flags, flags)
    def check(lead: tuple[int, ...], parts: int, inner: int, ta: bool, tb: bool) -> None:
        rng = np.random.default_rng(inner)
        a = normal(rng, *lead, *((inner, 35) if ta else (35, inner)))
        b = normal(rng, *lead, *((36, inner) if tb else (inner, 36)))
        _check(coop, a, b, ta, tb, by_element, parts=parts)

    check()


MIXTURES = [
    ((DType.f16, DType.f16), 32, False),
    ((DType.f16, DType.f16), 37, True),
    ((DType.f16, DType.f32), 36, False),
    ((DType.f16, DType.f32), 32, True),
    ((DType.bf16, DType.f16), 37, False),
    ((DType.bf16, DType.f16), 36, True),
]
if THOROUGH:
    MIXTURES = [(stored, columns, way) for stored, _, way in MIXTURES for columns in (32, 36, 37)]


@pytest.mark.parametrize(("stored", "columns", "turned"), MIXTURES, ids=str)
def test_operands_may_be_stored_in_any_mixture(
    coop: Helios, stored: tuple[DType, DType], columns: int, turned: bool
) -> None:
    rng = np.random.default_rng(0)
    a, b = normal(rng, 33, columns), normal(rng, columns, columns)
    tensors, values = [], []
    for x, dtype in zip((a, b), stored, strict=True):
        tensors.append(coop.upload(x) if dtype is DType.f32 else stored_as(coop, x, dtype))
        values.append(rounded(rounded(x, dtype) if dtype is not DType.f32 else x, DType.f16))
    task = _task(coop, *tensors, False, False, (33, columns))
    result = _computed(coop, task, attrs.evolve(_variant(coop, task, by_element=False), turned=turned))
    assert (np.abs(result - exact(*values)) <= bound(*values)).all()


def test_weights_in_bytes_are_multiplied_exactly(coop: Helios) -> None:
    rng = np.random.default_rng(0)
    x, values = normal(rng, 40, 48), rng.integers(-127, 128, (24, 48)).astype(np.float32)
    weight = coop.upload(values, DType.i8)
    task = _task(coop, coop.upload(x), weight, False, True, (40, 24))
    result, left = _computed(coop, task, _variant(coop, task, by_element=True)), rounded(x, DType.f16)
    assert (np.abs(result - exact(left, values, transpose_b=True)) <= bound(left, values, False, True)).all()


@by_element
def test_extreme_numbers_are_kept(coop: Helios, by_element: bool) -> None:
    edges = [65504.0, 65519.0, 65520.0, 1e38, 2.0**-14, 2.0**-15, 3 * 2.0**-24, 2.0**-24, 2.0**-25, 1e-38, np.inf]
    values = np.array([0.0, *edges, *(-edge for edge in edges), np.nan], np.float32)[:, None]
    ones = np.ones((1, 40), np.float32)
    task = _task(coop, coop.upload(values), coop.upload(ones), False, False, (len(values), 40))
    result = _computed(coop, task, _variant(coop, task, by_element))
    np.testing.assert_array_equal(result, np.repeat(rounded(values, DType.f16), 40, 1))


@by_element
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_reaches_its_row_and_no_other(coop: Helios, by_element: bool, value: float) -> None:
    rng = np.random.default_rng(0)
    a, b = normal(rng, 70, 97), normal(rng, 45, 97)
    b[:, 96] = np.where(np.arange(45) % 2, b[:, 96], 0)  # infinity times 0 is NaN
    a[69, 96] = value
    task = _task(coop, coop.upload(a), coop.upload(b), False, True, (70, 45))
    result = _computed(coop, task, _variant(coop, task, by_element))
    assert not np.isfinite(result[69]).any()
    assert np.isfinite(result[:69]).all()
    assert np.isnan(result[69, ::2]).all()


def test_elements_farther_than_32_bits_reach_are_found_by_64(coop: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "_near", lambda *_: False)
    a, b = operands(np.random.default_rng(0), 50, 45, 40, True, True)
    _check(coop, a, b, True, True, by_element=False)


def test_a_matrix_behind_others_is_not_left(coop: Helios) -> None:
    """What lies before and after a slice is NaN, which would show in every sum that it reached."""
    rng = np.random.default_rng(0)
    around = np.full((60, 80), np.nan, np.float32)
    around[9:50, 5:58] = normal(rng, 41, 53)
    b = normal(rng, 53, 21)

    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        return [coop.matmul(coop.slice(coop.slice(x, 0, 9, 50), 1, 5, 58), y)]

    coop.set_matmul_dtype(DType.f16)
    try:
        (out,) = coop.record(step, [around, b], name="test")(around, b)
        result = coop.download(out)
    finally:
        coop.set_matmul_dtype(DType.f32)
    left, right = rounded(around[9:50, 5:58], DType.f16), rounded(b, DType.f16)
    np.testing.assert_allclose(result, exact(left, right), rtol=2e-3, atol=2e-2)


def test_results_repeat_bit_for_bit(coop: Helios) -> None:
    a, b = operands(np.random.default_rng(0), 70, 300, 40, False, True)
    left, right = coop.upload(a), coop.upload(b)
    results = set()
    for element in (False, True, False, True):
        task = _task(coop, left, right, False, True, (70, 40))
        results.add(_computed(coop, task, _variant(coop, task, element, parts=2)).tobytes())
    assert len(results) == 1


# What is fused with products


@pytest.fixture(params=[(False, 1), (True, 1), (False, 2)], ids=["rows", "elements", "parts"])
def one_way(coop: Helios, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Helios]:
    """Products of f16, computed in one way whatever the rule would pick."""
    element, parts = request.param

    def choose(_key: str, found: Sequence[Variant], _make: object) -> Variant:
        variant = next(one for one in found if isinstance(one, CoopTiled))
        return attrs.evolve(variant, by_element=element, parts=parts)

    monkeypatch.setattr(coop.tuner, "choose", choose)
    coop.set_matmul_dtype(DType.f16)
    yield coop
    coop.set_matmul_dtype(DType.f32)


def _recorded(helios: Helios, function: Callable[..., Sequence[Tensor]], *inputs: Array) -> tuple[list[bytes], int]:
    program = helios.record(function, inputs, name="test")
    return [helios.download(out).tobytes() for out in program(*inputs)], program.dispatches


def _one_by_one(helios: Helios, function: Callable[..., Sequence[Tensor]], *inputs: Array) -> list[bytes]:
    return [helios.download(out).tobytes() for out in function(*map(helios.upload, inputs))]


@pytest.mark.parametrize("columns", [41, 44])
def test_what_follows_a_product_is_done_at_once_with_the_same_bits(one_way: Helios, columns: int) -> None:
    helios, rng = one_way, np.random.default_rng(0)
    expression = X * sigmoid(coefficient("slope", 1.0) * X)
    inputs = (
        *(normal(rng, 35, 52), normal(rng, columns, 52)),
        *(normal(rng, columns), normal(rng, columns), normal(rng, 35, columns)),
    )

    def activated(x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor, residual: Tensor) -> list[Tensor]:
        plain = helios.matmul(x, weight, transpose_b=True)
        return [plain, helios.bias_activation(plain, bias, expression, [slope])]

    def added(x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor, residual: Tensor) -> list[Tensor]:
        return [helios.add(residual, helios.add(helios.matmul(x, weight, transpose_b=True), bias))]

    def plain(x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor, residual: Tensor) -> list[Tensor]:
        return [helios.matmul(x, weight, transpose_b=True)]

    _, launches = _recorded(helios, plain, *inputs)
    for step in (activated, added):
        together, count = _recorded(helios, step, *inputs)
        assert together == _one_by_one(helios, step, *inputs)
        assert count == launches


def test_a_gradient_is_added_to_in_place_with_the_bits_of_two_ops(one_way: Helios) -> None:
    helios, rng = one_way, np.random.default_rng(0)
    a, b, start = normal(rng, 50, 35), normal(rng, 50, 41), normal(rng, 35, 41)
    total, separate = helios.upload(start), helios.upload(start)

    def accumulate(x: Tensor, y: Tensor, to: Tensor) -> list[Tensor]:
        helios.add_into(to, helios.matmul(x, y, transpose_a=True))
        return []

    helios.record(lambda x, y: accumulate(x, y, total), [a, b], name="test")(a, b)
    accumulate(helios.upload(a), helios.upload(b), separate)
    assert helios.download(total).tobytes() == helios.download(separate).tobytes()
    want = start + exact(rounded(a, DType.f16), rounded(b, DType.f16), transpose_a=True)
    np.testing.assert_allclose(helios.download(total), want, rtol=2e-3, atol=2e-2)


def test_the_rule_takes_matrices_where_operands_are_rounded(coop: Helios) -> None:
    a, b = coop.empty((128, 128)), coop.empty((128, 128))
    task = _task(coop, a, b, False, False, (128, 128))
    assert isinstance(variants(task, coop.info)[0], CoopTiled)
    for other in ("f32", "bf16"):
        if other == "f32" or "shaderBFloat16CooperativeMatrix" not in coop.info.features:
            found = variants(attrs.evolve(task, rounded=other), coop.info)
            assert not any(isinstance(one, CoopTiled) for one in found)


def test_in_f16_results_are_stored_so(coop: Helios) -> None:
    a, b = operands(np.random.default_rng(0), 40, 64, 48, False, False)
    coop.set_matmul_dtype(DType.f16)
    try:
        result = coop.matmul(coop.upload(a), coop.upload(b))
        assert stored_dtype(result) is DType.f16
        got = coop.download(result)
    finally:
        coop.set_matmul_dtype(DType.f32)
    np.testing.assert_allclose(got, exact(rounded(a, DType.f16), rounded(b, DType.f16)), rtol=1e-3, atol=1e-2)
