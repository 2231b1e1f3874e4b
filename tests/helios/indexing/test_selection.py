"""Selection by index, the largest elements, and the choice of a token, on rows longer than a workgroup."""

from typing import Any

import numpy as np
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core.dtype import DType
from alpha_helios.backend import Helios
from alpha_helios.kernels.sort import CHUNK
from alpha_testkit.op_cases import OP_CASES


def with_ties(rows: int, width: int) -> np.ndarray:
    x = np.round(np.random.default_rng(width).standard_normal((rows, width)) * 4).astype(np.float32) / 4
    x[0, -1], x[0, width // 2] = -0.0, 0.0
    return x


@pytest.mark.parametrize(
    ("rows", "width", "size"), [(3, 300, 7), (2, CHUNK, CHUNK), (2, CHUNK + 1, 100), (1, 9000, 9000)]
)
def test_the_largest_come_in_order(helios: Helios, rows: int, width: int, size: int) -> None:
    x = with_ties(rows, width)
    values, indices = (helios.download(result) for result in helios.top_k(helios.upload(x), size))
    order = np.argsort(-x, axis=-1, kind="stable")[:, :size]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, -1))
    np.testing.assert_array_equal(helios.download(helios.argmax(helios.upload(x))), order[:, 0])


def test_the_largest_of_columns_and_of_short_numbers(helios: Helios) -> None:
    x = with_ties(70, 33)
    np.testing.assert_array_equal(helios.download(helios.argmax(helios.upload(x), 0)), x.argmax(0))
    short, kept = stored_as(helios, x + np.float32(0.01), DType.f16), rounded(x + np.float32(0.01), DType.f16)
    np.testing.assert_array_equal(helios.download(helios.argmax(short)), kept.argmax(1))
    values, _ = helios.top_k(short, 3)
    np.testing.assert_array_equal(helios.download(values), -np.sort(-kept, axis=-1)[:, :3])


@pytest.mark.parametrize(("shape", "axis", "length"), [((4, 20, 3), 1, 500), ((5, 100, 7), 1, 11), ((3000, 2), 0, 5)])
def test_gradients_of_selection_add_up(helios: Helios, shape: tuple[int, ...], axis: int, length: int) -> None:
    rng = np.random.default_rng(0)
    grad, index = rng.integers(-9, 9, shape).astype(np.float32), rng.integers(0, length, shape).astype(np.int32)
    want = np.zeros((*shape[:axis], length, *shape[axis + 1 :]), np.float32)
    places = list(np.indices(shape))
    places[axis] = index
    np.add.at(want, tuple(places), grad)
    np.testing.assert_array_equal(
        helios.download(helios.gather_grad(helios.upload(grad), helios.upload(index), axis, length)), want
    )


def test_indices_outside_change_nothing(helios: Helios) -> None:
    cache = helios.upload(np.zeros((4, 2, 3, 4), np.float32))
    helios.write_rows(
        cache, helios.upload(np.ones((4, 2, 4), np.float32)), helios.upload(np.array([0, -1, 3, 2], np.int32))
    )
    want = np.zeros((4, 2, 3, 4))
    want[0, :, 0] = want[3, :, 2] = 1
    np.testing.assert_array_equal(helios.download(cache), want)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7},
    {"temperature": 1e-9},
    {"top_k": 5},
    {"top_k": 40, "temperature": 1.5},
    {"top_p": 0.9},
    {"top_p": 0.3, "temperature": 0.5},
    {"top_k": 50, "top_p": 0.8},
    {"min_p": 0.2},
    {"min_p": 0.1, "top_k": 20, "top_p": 0.95},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("size", [7, 1000, 50_257])
def test_tokens_are_those_of_the_definition(helios: Helios, settings: dict[str, Any], size: int) -> None:
    rng = np.random.default_rng(size)
    rows = 16 if size < 5000 else 2
    uniform = rng.uniform(0, 1, rows).astype(np.float32)
    for logits in (rng.standard_normal((rows, size)).astype(np.float32) * 2, with_ties(rows, size)):
        got = helios.download(helios.choose_token(helios.upload(logits), helios.upload(uniform), **settings))
        exact = logits.astype(np.float64), uniform.astype(np.float64)
        np.testing.assert_array_equal(got, OP_CASES["choose_token"].reference(*exact, **settings))


def test_the_same_share_of_draws_as_of_probability(helios: Helios) -> None:
    logits = np.log(np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    draws = (np.arange(1000, dtype=np.float32) + 0.5) / 1000
    tokens = helios.choose_token(helios.upload(np.tile(logits, (1000, 1))), helios.upload(draws))
    counts = np.bincount(helios.download(tokens), minlength=4)
    assert np.max(np.abs(counts - [100, 200, 300, 400])) <= 1
