"""Rows of tables, and their gradients: no update is lost, bits repeat, tables are touched only where ids are."""

import numpy as np
import pytest
from tests.helios.matmul.products import rounded, stored_as
from tests.helios.recording import launches_of

from alpha_core.dtype import DType
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.kernels.sort import CHUNK

# How many ids, rows and columns; ids as unequal as those of words.
TABLES = [
    (70, 100_000, 8),
    (CHUNK, 300, 5),
    (CHUNK + 1, 10, 4),
    (4096, 50_000, 33),
    (3 * CHUNK - 1, 700, 96),
    (600, 1, 3),
]


def ids_of(count: int, rows: int) -> np.ndarray:
    return np.minimum(np.random.default_rng(count).zipf(1.3, count) - 1, rows - 1).astype(np.int32)


@pytest.mark.parametrize(("count", "rows", "width"), TABLES)
def test_gradients_of_repeated_ids_add_up(helios: Helios, count: int, rows: int, width: int) -> None:
    ids = ids_of(count, rows)
    grad = np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)
    want, sizes = np.zeros((rows, width)), np.zeros((rows, width))
    np.add.at(want, ids, grad.astype(np.float64))
    np.add.at(sizes, ids, np.abs(grad))
    on_device = helios.upload(grad), helios.upload(ids)
    got = helios.download(helios.embedding_grad(*on_device, rows))
    assert np.all(np.abs(got - want) <= 2e-6 * sizes)
    np.testing.assert_array_equal(helios.download(helios.embedding_grad(*on_device, rows)), got)


@pytest.mark.parametrize(("count", "rows", "width"), [(300, 5000, 20), (2 * CHUNK + 5, 40, 7)])
@pytest.mark.parametrize("stored", [DType.f32, DType.bf16])
def test_gradients_go_into_a_table_at_once(helios: Helios, count: int, rows: int, width: int, stored: DType) -> None:
    ids = ids_of(count, rows)
    rng = np.random.default_rng(0)
    grad, table = (rng.standard_normal((size, width)).astype(np.float32) for size in (count, rows))
    given = helios.upload(grad) if stored is DType.f32 else stored_as(helios, grad, stored)
    sums = helios.download(helios.embedding_grad(given, helios.upload(ids), rows))
    destination = helios.upload(table)

    def step(tokens: Tensor) -> list[Tensor]:
        helios.add_into(destination, helios.embedding_grad(given, tokens, rows))
        return []

    assert "embedding_add" in [launch.spec.build.__name__ for launch in launches_of(helios, step, ids)]
    assert "embedding_grad" not in [launch.spec.build.__name__ for launch in launches_of(helios, step, ids)]
    program = helios.record(step, [ids], name="table", additive=True)
    program(ids)
    np.testing.assert_array_equal(helios.download(destination), table + sums)
    program(np.zeros_like(ids))
    np.testing.assert_array_equal(helios.download(destination)[1:], (table + sums)[1:])


@pytest.mark.parametrize("dtype", DType)
@pytest.mark.parametrize("width", [1, 6, 12])
def test_rows_of_every_dtype(helios: Helios, dtype: DType, width: int) -> None:
    table = np.random.default_rng(0).integers(-100, 100, (9, width)).astype(np.float32)
    ids = np.array([[3, 0, 8], [8, 8, 1]], np.int32)
    got = helios.download(helios.embedding(helios.upload(table, dtype), helios.upload(ids)))
    np.testing.assert_array_equal(got, table[ids])


def test_activations_are_stored_as_products_are(helios: Helios) -> None:
    table = np.random.default_rng(0).standard_normal((9, 8)).astype(np.float32)
    weight, ids = helios.upload(table), helios.upload(np.arange(9, dtype=np.int32))
    scale = helios.upload(np.linspace(1, 2, 9, dtype=np.float32))
    helios.set_matmul_dtype(DType.bf16)
    try:
        rows = helios.embedding(weight, ids)
        scaled = helios.quantized_embedding(helios.cast(weight, DType.bf16), ids, scale)
    finally:
        helios.set_matmul_dtype(DType.f32)
    assert stored_dtype(rows) is stored_dtype(scaled) is DType.bf16
    kept = rounded(table, DType.bf16)
    np.testing.assert_array_equal(helios.download(rows), kept)
    by_row = np.linspace(1, 2, 9, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(helios.download(scaled), rounded(kept * by_row, DType.bf16))


def test_ids_outside_of_a_table_change_nothing_else(helios: Helios) -> None:
    ids = helios.upload(np.array([-5, 2, 7, 2**31 - 1, -(2**31), 2], np.int32))
    grad = helios.upload(np.ones((6, 4), np.float32))
    got = helios.download(helios.embedding_grad(grad, ids, 7))
    np.testing.assert_array_equal(got, np.where(np.arange(7)[:, None] == 2, 2.0, 0.0) * np.ones((7, 4)))
    destination = helios.upload(np.zeros((7, 4), np.float32))

    def step() -> list[Tensor]:
        helios.add_into(destination, helios.embedding_grad(grad, ids, 7))
        return []

    helios.record(step, [], name="outside")()
    np.testing.assert_array_equal(helios.download(destination), got)
