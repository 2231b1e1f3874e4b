"""Cases of the ops that write text token by token."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, OpError, ShapeError
from alpha_testkit.compare import EXACT, Tolerance
from alpha_testkit.op_cases.case import WORKING, Arguments, Array, ErrorCase, OpCase, Sample, Stored
from alpha_testkit.op_cases.draw import Generator, distinct, integers, normal, positive

__all__ = ["CASES"]

SUMMED = Tolerance(6, "the rounding of a sum of products, up to 130 of them", of_largest=True)
SCALED = Tolerance(1, "one rounding, of the product with the scale")
ATTENDED = Tolerance(16, "the rounding of scores, exponentials and their sums", of_largest=True)


def _stored(rng: Generator, rows: int, columns: int, dtype: DType) -> Stored:
    """Draws a weight as it is stored."""
    if dtype is DType.i8:
        return Stored(rng.integers(-127, 128, (rows, columns)).astype(np.float64), dtype)
    return Stored(normal(rng, rows, columns), dtype)


def _product(n: int, k: int, m: int, dtype: DType, scaled: bool) -> Callable[[Generator], Arguments]:
    return lambda rng: {
        "x": normal(rng, n, k),
        "weight": _stored(rng, m, k, dtype),
        "scale": positive(rng, m) if scaled else None,
    }


def _quantized_matmul(x: Array, weight: Array, scale: Array | None = None) -> Array:
    return x @ (weight if scale is None else weight * scale[:, None]).T


def _lookup(rows: int, width: int, dtype: DType, scaled: bool, *ids: int) -> Callable[[Generator], Arguments]:
    return lambda rng: {
        "weight": _stored(rng, rows, width, dtype),
        "ids": integers(rng, 0, rows, *ids),
        "scale": positive(rng, rows) if scaled else None,
        "dtype": WORKING,
    }


def _quantized_embedding(weight: Array, ids: Array, scale: Array | None, dtype: DType) -> Stored:
    return Stored((weight if scale is None else weight * scale[:, None])[ids], dtype)


def _written(batch: int, heads: int, capacity: int, width: int) -> Callable[[Generator], Arguments]:
    return lambda rng: {
        "destination": normal(rng, batch, heads, capacity, width),
        "source": normal(rng, batch, heads, width),
        "index": integers(rng, 0, capacity, batch),
    }


def _write_rows(destination: Array, source: Array, index: Array) -> dict[str, Array]:
    result = destination.copy()
    for row, place in enumerate(index):
        result[row, :, place] = source[row]
    return {"destination": result}


def _attended(
    batch: int, heads: int, capacity: int, width: int, soft_cap: float = 0.0, lengths: tuple[int, ...] | None = None
) -> Callable[[Generator], Arguments]:
    def draw(rng: Generator) -> Arguments:
        return {
            "query": normal(rng, batch, heads, width),
            "key": normal(rng, batch, heads, capacity, width),
            "value": normal(rng, batch, heads, capacity, width),
            "lengths": integers(rng, 1, capacity + 1, batch) if lengths is None else np.array(lengths, np.int32),
            "soft_cap": soft_cap,
        }

    return draw


def _cached_attention(query: Array, key: Array, value: Array, lengths: Array, soft_cap: float = 0.0) -> Array:
    result = np.zeros(query.shape)
    for row, head in np.ndindex(*query.shape[:2]):
        seen = slice(0, lengths[row])
        scores = key[row, head, seen] @ query[row, head] / math.sqrt(query.shape[-1])
        if soft_cap > 0:
            scores = soft_cap * np.tanh(scores / soft_cap)
        weights = np.exp(scores - scores.max())
        result[row, head] = weights / weights.sum() @ value[row, head, seen]
    return result


def _unseen(large: float) -> Callable[[Generator], Arguments]:
    """Puts large values behind the length: they must not matter."""

    def draw(rng: Generator) -> Arguments:
        arguments = _attended(2, 3, 9, 4, lengths=(4, 7))(rng)
        for row, length in enumerate(arguments["lengths"]):
            arguments["key"][row, :, length:] = arguments["value"][row, :, length:] = large
        return arguments

    return draw


def _chosen(rows: int, size: int, **settings: Any) -> Callable[[Generator], Arguments]:
    return lambda rng: {"logits": distinct(rng, rows, size), "uniform": rng.uniform(0.01, 0.99, rows), **settings}


def _tied(rows: int, size: int, **settings: Any) -> Callable[[Generator], Arguments]:
    return lambda rng: {**_chosen(rows, size, **settings)(rng), "logits": rng.integers(0, 3, (rows, size)) / 2.0}


def _at(logits: Array, uniform: list[float], **settings: Any) -> Callable[[Generator], Arguments]:
    return lambda rng: {"logits": np.tile(logits, (len(uniform), 1)), "uniform": np.array(uniform), **settings}


def _choose_token(
    logits: Array,
    uniform: Array,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> Array:
    return np.array(
        [_drawn(row, u, temperature, top_k, top_p, min_p) for row, u in zip(logits, uniform, strict=True)], np.int32
    ).reshape(len(logits))


def _drawn(logits: Array, uniform: float, temperature: float, top_k: int, top_p: float, min_p: float) -> int:
    if temperature == 0:
        return int(np.argmax(logits))
    order = np.argsort(-logits, kind="stable")[: top_k or None]
    p = np.exp((logits[order] - logits[order[0]]) / temperature)
    p /= p.sum()
    if top_p < 1:
        p = p[: int(np.searchsorted(np.cumsum(p), top_p)) + 1]
    p = p[p >= min_p * p[0]]
    by_id = sorted(zip(order, p, strict=False))
    sums = np.cumsum([probability for _, probability in by_id])
    return int(by_id[int(np.searchsorted(sums, uniform * sums[-1], side="right"))][0])


EXAMPLE = np.log(np.array([0.05, 0.5, 0.15, 0.3]))

CASES = (
    OpCase(
        name="quantized_matmul",
        reference=_quantized_matmul,
        tolerance=SUMMED,
        samples=(
            *(
                Sample(f"{dtype.value}-{name}", _product(*sizes, dtype, scaled))
                for dtype, scaled in ((DType.bf16, False), (DType.i8, True))
                for name, sizes in (
                    ("row", (1, 65, 33)),
                    ("odd", (3, 5, 7)),
                    ("one", (1, 1, 1)),
                    ("column", (7, 5, 1)),
                    ("empty", (0, 4, 3)),
                    ("empty-inner", (3, 0, 4)),
                    ("long-row", (1, 130, 257)),
                    ("tiles", (33, 65, 17)),
                )
            ),
            Sample("bf16-scaled", _product(2, 9, 5, DType.bf16, True)),
            Sample("i8-unscaled", _product(2, 9, 5, DType.i8, False)),
            Sample("zero-scale", lambda rng: {**_product(2, 9, 5, DType.i8, True)(rng), "scale": np.zeros(5)}),
        ),
        errors=(
            ErrorCase(
                "inner", lambda rng: {"x": normal(rng, 2, 5), "weight": _stored(rng, 3, 4, DType.i8)}, ShapeError
            ),
            ErrorCase("vector", lambda rng: {"x": normal(rng, 5), "weight": _stored(rng, 3, 5, DType.i8)}, ShapeError),
            ErrorCase("weight-dtype", lambda rng: {"x": normal(rng, 2, 5), "weight": normal(rng, 3, 5)}, DTypeError),
            ErrorCase(
                "scale", lambda rng: {**_product(2, 5, 3, DType.i8, False)(rng), "scale": normal(rng, 5)}, ShapeError
            ),
            ErrorCase(
                "integer",
                lambda rng: {"x": integers(rng, 0, 9, 2, 5), "weight": _stored(rng, 3, 5, DType.i8)},
                DTypeError,
            ),
        ),
    ),
    OpCase(
        name="quantized_embedding",
        reference=_quantized_embedding,
        tolerance=SCALED,
        samples=(
            *(
                Sample(f"{dtype.value}-{name}", _lookup(rows, width, dtype, scaled, *ids))
                for dtype, scaled in ((DType.bf16, False), (DType.i8, True))
                for name, (rows, width, ids) in (
                    ("odd", (7, 5, (2, 3))),
                    ("single", (7, 5, ())),
                    ("vector", (7, 5, (4,))),
                    ("one", (1, 1, (3,))),
                    ("empty", (7, 5, (0,))),
                    ("tiles", (130, 65, (33,))),
                )
            ),
            Sample("bf16-scaled", _lookup(7, 5, DType.bf16, True, 4)),
            Sample("i8-unscaled", _lookup(7, 5, DType.i8, False, 4)),
        ),
        errors=(
            ErrorCase(
                "weight-dtype", lambda rng: {"weight": normal(rng, 7, 5), "ids": integers(rng, 0, 7, 3)}, DTypeError
            ),
            ErrorCase(
                "ids-dtype", lambda rng: {"weight": _stored(rng, 7, 5, DType.i8), "ids": normal(rng, 3)}, DTypeError
            ),
            ErrorCase(
                "vector",
                lambda rng: {"weight": Stored(np.zeros(7), DType.i8), "ids": integers(rng, 0, 7, 3)},
                ShapeError,
            ),
            ErrorCase(
                "scale", lambda rng: {**_lookup(7, 5, DType.i8, False, 3)(rng), "scale": normal(rng, 5)}, ShapeError
            ),
        ),
    ),
    OpCase(
        name="write_rows",
        reference=_write_rows,
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("odd", _written(3, 2, 7, 5)),
            Sample("one", _written(1, 1, 1, 1)),
            Sample("one-row", _written(1, 3, 5, 4)),
            Sample("one-head", _written(1, 1, 9, 65)),
            Sample("one-column", _written(4, 1, 5, 1)),
            Sample("empty", _written(0, 2, 3, 4)),
            Sample("tiles", _written(17, 2, 33, 16)),
        ),
        non_finite=(
            Sample(
                "values", lambda rng: {**_written(1, 1, 3, 3)(rng), "source": np.array([[[np.nan, np.inf, -np.inf]]])}
            ),
            Sample("beside", lambda rng: {**_written(1, 1, 3, 2)(rng), "destination": np.full((1, 1, 3, 2), np.nan)}),
        ),
        errors=(
            ErrorCase(
                "dimensions", lambda rng: {**_written(2, 3, 4, 5)(rng), "destination": normal(rng, 2, 4, 5)}, ShapeError
            ),
            ErrorCase("source", lambda rng: {**_written(2, 3, 4, 5)(rng), "source": normal(rng, 2, 3, 4)}, ShapeError),
            ErrorCase("index", lambda rng: {**_written(2, 3, 4, 5)(rng), "index": integers(rng, 0, 4, 3)}, ShapeError),
            ErrorCase("index-dtype", lambda rng: {**_written(2, 3, 4, 5)(rng), "index": normal(rng, 2)}, DTypeError),
            ErrorCase(
                "dtypes",
                lambda rng: {**_written(2, 3, 4, 5)(rng), "source": Stored(normal(rng, 2, 3, 5), DType.f16)},
                DTypeError,
            ),
        ),
    ),
    OpCase(
        name="cached_attention",
        reference=_cached_attention,
        tolerance=ATTENDED,
        samples=(
            Sample("odd", _attended(3, 2, 7, 5)),
            Sample("one", _attended(1, 1, 1, 1)),
            Sample("first", _attended(2, 3, 5, 4, lengths=(1, 1))),
            Sample("full", _attended(2, 3, 5, 4, lengths=(5, 5))),
            Sample("mixed", _attended(4, 2, 65, 8, lengths=(1, 33, 64, 65))),
            Sample("soft-cap", _attended(3, 2, 17, 8, soft_cap=0.75)),
            Sample("unseen", _unseen(1e4)),
            Sample("wide", _attended(1, 2, 33, 128)),
            Sample("empty", _attended(0, 2, 5, 4)),
            Sample("long", _attended(1, 1, 1025, 16, lengths=(1025,))),
        ),
        non_finite=(
            Sample(
                "nan-query",
                lambda rng: {
                    **_attended(2, 1, 5, 4)(rng),
                    "query": np.stack([np.full((1, 4), np.nan), normal(rng, 1, 4)]),
                },
            ),
        ),
        errors=(
            ErrorCase(
                "query", lambda rng: {**_attended(2, 3, 5, 4)(rng), "query": normal(rng, 2, 3, 1, 4)}, ShapeError
            ),
            ErrorCase("key", lambda rng: {**_attended(2, 3, 5, 4)(rng), "key": normal(rng, 2, 2, 5, 4)}, ShapeError),
            ErrorCase(
                "value", lambda rng: {**_attended(2, 3, 5, 4)(rng), "value": normal(rng, 2, 3, 6, 4)}, ShapeError
            ),
            ErrorCase(
                "lengths", lambda rng: {**_attended(2, 3, 5, 4)(rng), "lengths": integers(rng, 1, 5, 3)}, ShapeError
            ),
            ErrorCase(
                "lengths-dtype", lambda rng: {**_attended(2, 3, 5, 4)(rng), "lengths": normal(rng, 2)}, DTypeError
            ),
        ),
    ),
    OpCase(
        name="choose_token",
        reference=_choose_token,
        tolerance=EXACT,
        samples=(
            Sample("plain", _chosen(7, 33)),
            Sample("greedy", _chosen(7, 33, temperature=0.0)),
            Sample("greedy-ties", _tied(5, 65, temperature=0.0)),
            Sample("nearly-greedy", _chosen(5, 33, temperature=1e-320)),
            Sample("cold", _chosen(7, 33, temperature=0.25)),
            Sample("hot", _chosen(7, 33, temperature=3.0)),
            Sample("top-k", _chosen(9, 33, top_k=5)),
            Sample("top-k-one", _chosen(5, 33, top_k=1)),
            Sample("top-k-all", _chosen(5, 33, top_k=33)),
            Sample("top-k-more", _chosen(5, 33, top_k=100)),
            Sample("top-k-ties", _tied(9, 65, top_k=20)),
            Sample("top-p", _chosen(9, 33, top_p=0.6)),
            Sample("top-p-one", _chosen(5, 33, top_p=0.001)),
            Sample("min-p", _chosen(9, 33, min_p=0.2)),
            Sample("min-p-one", _chosen(5, 33, min_p=1.0)),
            Sample("all", _chosen(17, 65, temperature=0.8, top_k=20, top_p=0.9, min_p=0.05)),
            Sample("example", _at(EXAMPLE, [0.04, 0.06, 0.54, 0.56, 0.69, 0.71, 0.99])),
            Sample("example-top-k", _at(EXAMPLE, [0.01, 0.62, 0.63, 0.99], top_k=2)),
            Sample("example-top-p", _at(EXAMPLE, [0.01, 0.62, 0.63, 0.99], top_p=0.6)),
            Sample("example-min-p", _at(EXAMPLE, [0.01, 0.5, 0.54, 0.6, 0.99], min_p=0.2)),
            Sample("ends", _at(EXAMPLE, [2.0**-24, 1 - 2.0**-24], top_k=3)),
            Sample("one-token", _chosen(3, 1, top_p=0.5)),
            Sample("one-row", _chosen(1, 130, top_k=40)),
            Sample("empty", _chosen(0, 5)),
            Sample("tiles", _chosen(33, 65)),
            Sample("long", _chosen(3, 1025, top_k=40)),
            Sample("spread", _chosen(3, 5000, temperature=0.5)),
        ),
        non_finite=(
            Sample("impossible", _at(np.array([-np.inf, 1.0, -np.inf, 0.5]), [0.01, 0.3, 0.7, 0.99])),
            Sample(
                "impossible-limited",
                _at(np.array([-np.inf, 1.0, -np.inf, 0.5]), [0.01, 0.7, 0.99], top_k=3, top_p=0.99),
            ),
        ),
        errors=(
            ErrorCase("vector", lambda rng: {"logits": normal(rng, 5), "uniform": positive(rng, 5)}, ShapeError),
            ErrorCase("uniform", lambda rng: {"logits": normal(rng, 2, 5), "uniform": positive(rng, 3)}, ShapeError),
            ErrorCase("no-tokens", lambda rng: {"logits": normal(rng, 2, 0), "uniform": positive(rng, 2)}, ShapeError),
            ErrorCase("temperature", _chosen(2, 5, temperature=-1.0), OpError),
            ErrorCase("top-k", _chosen(2, 5, top_k=-1), OpError),
            ErrorCase("top-p", _chosen(2, 5, top_p=0.0), OpError),
            ErrorCase("min-p", _chosen(2, 5, min_p=1.5), OpError),
        ),
    ),
)
