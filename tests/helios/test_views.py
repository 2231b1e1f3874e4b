"""Ops on views: what begins between vectors is added up in the order of a tensor of its own, in a recorded step too."""

from collections.abc import Callable

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_core.expression import X, sigmoid
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

ROWS, WIDTH = 40, 600
SILU = X * sigmoid(X)


def _reductions(b: Helios, v: Tensor, w: Tensor) -> list[Tensor]:
    turned = b.transpose(v, (1, 0))
    whole = [b.sum(v), b.sum_of_squares(w), b.global_norm([v, w]), b.max(v, 1)]
    return [b.sum(v, 1), b.sum(v, 0), b.mean(turned, 0), b.sum(turned, 1), *whole]


def _rows(b: Helios, v: Tensor, w: Tensor) -> list[Tensor]:
    targets = b.sub(b.arange(ROWS), b.arange(ROWS))
    losses = [b.cross_entropy(v, targets), b.cross_entropy_grad(b.sum(v, 1), v, targets)]
    return [b.softmax(v), b.log_softmax(v), b.softmax_grad(v, v), b.layer_norm(v, w, w), b.rms_norm(v, w), *losses]


def _gradients(b: Helios, v: Tensor, w: Tensor) -> list[Tensor]:
    _, dbias, _ = b.bias_activation_grad(v, v, w, SILU)
    assert dbias is not None
    embedded = b.embedding_grad(v, b.arange(ROWS), 50)
    return [*b.layer_norm_grad(v, v, w), *b.rms_norm_grad(v, v, w), dbias, embedded]


def _one_row(b: Helios, v: Tensor, w: Tensor) -> list[Tensor]:
    row = b.slice(v, 0, 2, 3)
    return [b.softmax(row), b.layer_norm(row, w, w), b.rms_norm(row, w), b.sum(row, 1), *b.rms_norm_grad(row, row, w)]


def _products(b: Helios, v: Tensor, w: Tensor) -> list[Tensor]:
    turned = b.transpose(v, (1, 0))
    return [b.matmul(v, turned), b.matmul(b.slice(v, 0, 1, 3), turned), b.matmul(turned, v)]


def _attention(b: Helios, v: Tensor, w: Tensor) -> list[Tensor]:
    heads = [b.slice(v, 1, 15 * part, 15 * part + 15) for part in range(3)]
    query, key, value = (b.transpose(b.reshape(one, (2, ROWS // 2, 3, 5)), (0, 2, 1, 3)) for one in heads)
    out, log_sum_exp = b.attention(query, key, value)
    return [out, log_sum_exp, *b.attention_grad(out, query, key, value, out, log_sum_exp)]


@pytest.mark.parametrize("dtype", [DType.f32, DType.bf16])
@pytest.mark.parametrize("ops", [_reductions, _rows, _gradients, _one_row, _products, _attention])
def test_views_give_the_bits_of_copies(
    ops: Callable[[Helios, Tensor, Tensor], list[Tensor]], dtype: DType, helios: Helios
) -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((ROWS, WIDTH), (WIDTH,)))

    def step(x: Tensor, w: Tensor) -> list[Tensor]:
        found = []
        for first, last in ((1, 514), (3, 600), (2, 260), (5, 57)):
            found += ops(helios, helios.slice(x, 1, first, last), helios.slice(w, 0, first, last))
        return found

    helios.set_matmul_dtype(dtype)
    try:
        recorded = [helios.download(one) for one in helios.record(step, [x, w], name="views")(x, w)]
        called = [helios.download(one) for one in step(helios.upload(x), helios.upload(w))]
    finally:
        helios.set_matmul_dtype(DType.f32)
    for index, (one, other) in enumerate(zip(recorded, called, strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"result {index}")
