"""Layer norm and RMS norm against float64: every width, every way of storing, rows that stand apart."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core.dtype import DType
from alpha_core.recording.storage import View, stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_testkit.compare import assert_same_bits

Array = npt.NDArray[Any]

# One invocation, a part of a subgroup, a subgroup, a workgroup with registers, and rows that do not fit into them; each
# with widths that vectors of 4 divide, and others.
WIDTHS = (1, 2, 3, 7, 24, 30, 64, 65, 768, 1001, 8192, 30001)


def normalized(x: Array, centred: bool, eps: float = 1e-5) -> tuple[Array, Array]:
    moved = x - x.mean(-1, keepdims=True) if centred else x
    factor = 1 / np.sqrt((moved**2).mean(-1, keepdims=True) + eps)
    return moved * factor, factor


def gradients(grad: Array, x: Array, weight: Array, centred: bool) -> tuple[Array, Array, Array]:
    n, factor = normalized(x, centred)
    g = grad * weight
    level = g.mean(-1, keepdims=True) if centred else 0.0
    dx = factor * (g - level - n * (g * n).mean(-1, keepdims=True))
    return dx, (grad * n).sum(0), grad.sum(0)


def assert_near(got: Array, want: Array, units: float = 16.0, epsilon: float = 2.0**-23) -> None:
    """Within some roundings of the largest value."""
    assert got.shape == want.shape
    error = np.max(np.abs(got - want), initial=0.0) / max(np.max(np.abs(want), initial=0.0), 1e-30) / epsilon
    assert error <= units, f"{error:.1f} roundings of the largest value"


def draw(width: int, rows: int = 5) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(width)
    x, grad = (rng.standard_normal((rows, width)).astype(np.float32) for _ in range(2))
    weight, bias = rng.random(width).astype(np.float32) + 0.5, rng.standard_normal(width).astype(np.float32)
    return x + np.float32(0.5), grad, weight, bias


@pytest.mark.parametrize("centred", [True, False], ids=["layer", "rms"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_agrees_with_float64(helios: Helios, width: int, centred: bool) -> None:
    x, grad, weight, bias = draw(width)
    on_device = [helios.upload(array) for array in (x, grad, weight, bias)]
    exact = [array.astype(np.float64) for array in (x, grad, weight, bias)]
    n, _ = normalized(exact[0], centred)
    if centred:
        out = helios.layer_norm(on_device[0], on_device[2], on_device[3])
        assert_near(helios.download(out), n * exact[2] + exact[3])
        found = helios.layer_norm_grad(on_device[1], on_device[0], on_device[2])
    else:
        assert_near(helios.download(helios.rms_norm(on_device[0], on_device[2])), n * exact[2])
        found = helios.rms_norm_grad(on_device[1], on_device[0], on_device[2])
    scale = np.abs(exact[1] * exact[2]).max()
    for place, (got, want) in enumerate(zip(found, gradients(exact[1], exact[0], exact[2], centred), strict=False)):
        wrong = np.max(np.abs(helios.download(got) - want))
        # of rows of one or two elements nothing or next to nothing remains of dx: what cancels is as large as grad
        limit = 64 * 2.0**-23 * (max(np.max(np.abs(want)), scale if place == 0 and width < 4 else 0.0) + 1e-30)
        assert wrong <= limit


def test_the_variance_is_not_a_difference_of_large_numbers(helios: Helios) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((4, 512)) + 4000).astype(np.float32)
    one = helios.full((512,), 1.0)
    want, _ = normalized(x.astype(np.float64), True)
    assert np.max(np.abs(helios.download(helios.layer_norm(helios.upload(x), one, None)) - want)) < 2e-3


@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_sizes_far_from_one(helios: Helios, scale: float) -> None:
    x, grad, weight, _ = draw(260)
    x = (x * np.float32(scale)).astype(np.float32)
    got = helios.download(helios.layer_norm(helios.upload(x), helios.upload(weight), None))
    n, _ = normalized(x.astype(np.float64), True)
    assert_near(got, n * weight)
    found = helios.layer_norm_grad(helios.upload(grad), helios.upload(x), helios.upload(weight))
    for one, want in zip(found, gradients(*(a.astype(np.float64) for a in (grad, x, weight)), True), strict=True):
        assert_near(helios.download(one), want, 64)


def test_nan_stays_in_its_row(helios: Helios) -> None:
    x, grad, weight, bias = draw(65)
    x[1, 64], x[3, 0] = np.nan, np.inf
    out = helios.download(helios.layer_norm(*(helios.upload(array) for array in (x, weight, bias))))
    np.testing.assert_array_equal(np.isnan(out).all(-1), [False, True, False, True, False])
    np.testing.assert_array_equal(np.isnan(out).any(-1), [False, True, False, True, False])
    dx, dweight, dbias = helios.layer_norm_grad(*(helios.upload(array) for array in (grad, x, weight)))
    np.testing.assert_array_equal(np.isnan(helios.download(dx)).any(-1), [False, True, False, True, False])
    assert np.isnan(helios.download(dweight)).all()
    assert np.isfinite(helios.download(dbias)).all()


@pytest.mark.parametrize("width", [260, 16000])
@pytest.mark.parametrize("kinds", ["bbbb", "fbhf", "bfhb", "hhff"])
def test_any_mixture_of_stored_dtypes(helios: Helios, kinds: str, width: int) -> None:
    by_letter = {"f": DType.f32, "b": DType.bf16, "h": DType.f16}
    arrays, tensors = [], []
    for letter, array in zip(kinds, draw(width), strict=True):
        dtype = by_letter[letter]
        arrays.append(array if dtype is DType.f32 else rounded(array, dtype))
        tensors.append(helios.upload(array) if dtype is DType.f32 else stored_as(helios, array, dtype))
    x, grad, weight, bias = tensors
    exact = [array.astype(np.float64) for array in arrays]
    out = helios.layer_norm(x, weight, bias)
    assert stored_dtype(out) is by_letter[kinds[0]], "activations stay as they are stored"
    n, _ = normalized(exact[0], True)
    epsilon = {"f": 2.0**-23, "b": 2.0**-8, "h": 2.0**-11}
    assert_near(helios.download(out), n * exact[2] + exact[3], 1.01 if kinds[0] != "f" else 16, epsilon[kinds[0]])
    dx, *sums = helios.layer_norm_grad(grad, x, weight)
    wanted, *wanted_sums = gradients(exact[1], exact[0], exact[2], True)
    coarsest = max(epsilon[letter] for letter in kinds[:2])
    assert_near(helios.download(dx), wanted, 64 if coarsest == 2.0**-23 else 1.01, coarsest)
    for got, want in zip(sums, wanted_sums, strict=True):
        assert stored_dtype(got) is DType.f32, "gradients of parameters are sums over rows"
        assert_near(helios.download(got), want, 64)


@pytest.mark.parametrize("width", [20, 21, 16000])
def test_rows_are_read_where_they_stand(helios: Helios, width: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 3, width)).astype(np.float32)
    grad = rng.standard_normal((2, 3, 5, width)).astype(np.float32)
    weight = helios.upload(np.linspace(0.5, 2.0, width, dtype=np.float32))
    whole = helios.upload(x)
    view = view_of(whole)
    turned = Tensor((2, 3, 5, width), DType.f32, View(view.buffer, tuple(view.strides[i] for i in (0, 2, 1, 3))))
    plain = helios.upload(np.ascontiguousarray(x.transpose(0, 2, 1, 3)))
    for got, want in (
        (helios.rms_norm(turned, weight), helios.rms_norm(plain, weight)),
        (helios.layer_norm(turned, weight, weight), helios.layer_norm(plain, weight, weight)),
        *zip(
            helios.layer_norm_grad(helios.upload(grad), turned, weight),
            helios.layer_norm_grad(helios.upload(grad), plain, weight),
            strict=True,
        ),
    ):
        assert_same_bits("with strides", helios.download(got), helios.download(want))


@pytest.mark.parametrize("width", [24, 16000])
def test_sums_over_many_rows_lose_little_and_repeat(helios: Helios, width: int) -> None:
    rng = np.random.default_rng(0)
    grad, x = (rng.random((100_000 // width * 4, width)).astype(np.float32) for _ in range(2))
    given = helios.upload(grad), helios.upload(x), helios.full((width,), 1.0)
    first, second = (list(map(helios.download, helios.layer_norm_grad(*given))) for _ in range(2))
    for got, again in zip(first, second, strict=True):
        assert_same_bits("once more", again, got)
    _, dweight, dbias = gradients(grad.astype(np.float64), x.astype(np.float64), np.ones(width), True)
    assert np.max(np.abs(first[2] / dbias - 1)) < 1e-6
    assert_near(first[1], dweight, 64)


@pytest.mark.parametrize("width", [64, 16000])
def test_sums_go_into_gradients_as_if_in_two_steps(helios: Helios, width: int) -> None:
    x, grad, weight, bias = draw(width, 33)
    apart, fused = ([helios.upload(array) for array in (weight, bias)] for _ in range(2))
    tensors = helios.upload(x), helios.upload(weight)
    _, *sums = helios.layer_norm_grad(helios.upload(grad), *tensors)
    for total, one in zip(apart, sums, strict=True):
        helios.add_into(total, one)

    def step(given: Tensor) -> list[Tensor]:
        dx, *sums = helios.layer_norm_grad(given, *tensors)
        for total, one in zip(fused, sums, strict=True):
            helios.add_into(total, one)
        return [dx]

    program = helios.record(step, [grad], name="step")
    program(grad)
    for got, want in zip(fused, apart, strict=True):
        assert_same_bits("a gradient", helios.download(got), helios.download(want))
    assert program.dispatches == (3 if width == 64 else 4), "the additions are a part of the sums"
