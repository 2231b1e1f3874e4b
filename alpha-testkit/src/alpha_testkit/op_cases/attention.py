"""Cases of causal attention and rotary positions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.errors import OpError, ShapeError
from alpha_core.tensor import Shape
from alpha_testkit.compare import Tolerance
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample, Stream
from alpha_testkit.op_cases.draw import Generator, normal
from alpha_testkit.op_cases.dropout import dropout_mask

__all__ = ["CASES"]

WEIGHTED = Tolerance(
    32,
    "two matrix products around exponentials (GPUs: 3 + 2|score| units) of up to 65 keys; with one key all cancels",
    of_largest=True,
    least=1.0,
)
STREAM = Stream(seed=11, stream=5, step=2, rows=(4, 0))

# name: batch, heads, queries, keys, width, options
SIZES: dict[str, tuple[int, int, int, int, int, dict[str, Any]]] = {
    "odd": (2, 3, 5, 5, 4, {}),
    "one-token": (2, 1, 1, 1, 3, {}),
    "one-channel": (1, 2, 4, 4, 1, {}),
    "older-keys": (2, 2, 3, 7, 4, {}),
    "one-query": (1, 2, 1, 9, 4, {}),
    "empty": (0, 2, 3, 3, 4, {}),
    "soft-cap": (1, 2, 5, 5, 4, {"soft_cap": 1.5}),
    "dropout": (2, 2, 5, 5, 4, {"dropout_rate": 0.4, "random": STREAM}),
    "dropout-older-keys": (2, 3, 2, 5, 4, {"dropout_rate": 0.25, "random": STREAM}),
    "both": (2, 1, 3, 3, 4, {"soft_cap": 2.0, "dropout_rate": 0.5, "random": STREAM}),
    "stream-unused": (2, 1, 3, 3, 4, {"random": STREAM}),
    "tiles": (1, 2, 65, 65, 33, {}),
    "tiles-older-keys": (1, 1, 17, 65, 16, {"soft_cap": 4.0}),
}


def _weights(query: Array, key: Array, soft_cap: float) -> tuple[Array, Array, Array]:
    """Returns the causal weights P, log of each denominator, and the slope of the soft cap."""
    queries, keys, width = query.shape[2], key.shape[2], query.shape[3]
    scores = np.einsum("bhqd,bhkd->bhqk", query, key) / np.sqrt(width)
    slope = np.ones_like(scores)
    if soft_cap:
        slope = 1.0 / np.cosh(scores / soft_cap) ** 2
        scores = soft_cap * np.tanh(scores / soft_cap)
    for i in range(queries):
        scores[:, :, i, i + keys - queries + 1 :] = -np.inf
    largest = np.max(scores, axis=-1, keepdims=True)
    denominator = np.sum(np.exp(scores - largest), axis=-1, keepdims=True)
    log_sum_exp = largest + np.log(denominator)
    return np.exp(scores - log_sum_exp), log_sum_exp[..., 0], slope


def _mask(shape: Shape, rate: float, random: Stream | None) -> Array:
    return dropout_mask(shape, rate, random) if random is not None and rate > 0 else np.ones(shape)


def _attention(
    query: Array, key: Array, value: Array, soft_cap: float = 0.0, dropout_rate: float = 0.0, random: Any = None
) -> tuple[Array, Array]:
    weights, log_sum_exp, _ = _weights(query, key, soft_cap)
    dropped = weights * _mask(weights.shape, dropout_rate, random)
    return np.einsum("bhqk,bhkd->bhqd", dropped, value), log_sum_exp


def _attention_grad(
    grad: Array,
    query: Array,
    key: Array,
    value: Array,
    out: Array,
    log_sum_exp: Array,
    soft_cap: float = 0.0,
    dropout_rate: float = 0.0,
    random: Any = None,
) -> tuple[Array, Array, Array]:
    """The chain rule from the values back, with the softmax's Jacobian; `out` and `log_sum_exp` are not used."""
    weights, _, slope = _weights(query, key, soft_cap)
    mask = _mask(weights.shape, dropout_rate, random)
    dweights = np.einsum("bhqd,bhkd->bhqk", grad, value) * mask
    jacobian = np.eye(weights.shape[-1]) * weights[..., None, :] - weights[..., :, None] * weights[..., None, :]
    dscores = np.einsum("bhqi,bhqij->bhqj", dweights, jacobian) * slope / np.sqrt(query.shape[-1])
    dquery = np.einsum("bhqk,bhkd->bhqd", dscores, key)
    dkey = np.einsum("bhqk,bhqd->bhkd", dscores, query)
    return dquery, dkey, np.einsum("bhqk,bhqd->bhkd", weights * mask, grad)


def _attended(batch: int, heads: int, queries: int, keys: int, width: int, options: dict[str, Any]) -> Any:
    return lambda rng: {
        "query": normal(rng, batch, heads, queries, width),
        "key": normal(rng, batch, heads, keys, width),
        "value": normal(rng, batch, heads, keys, width),
        **options,
    }


def _attended_grad(batch: int, heads: int, queries: int, keys: int, width: int, options: dict[str, Any]) -> Any:
    def draw(rng: Generator) -> Arguments:
        arguments: Arguments = _attended(batch, heads, queries, keys, width, options)(rng)
        out, log_sum_exp = _attention(**arguments)
        return {"grad": normal(rng, *out.shape), **arguments, "out": out, "log_sum_exp": log_sum_exp}

    return draw


def _sharp(rng: Generator) -> Arguments:
    """Scores of some hundreds: the softmax must not overflow."""
    shape = (1, 2, 9, 4)
    return {
        "query": normal(rng, *shape, scale=16.0),
        "key": normal(rng, *shape, scale=16.0),
        "value": normal(rng, *shape),
    }


def _poisoned(rng: Generator) -> Arguments:
    """NaN in one query and infinity in one value: rows that do not look there stay clean."""
    arguments: Arguments = _attended(1, 2, 5, 5, 4, {})(rng)
    arguments["query"][0, 0, 3, 1] = np.nan
    arguments["key"][0, 1, 4, 0] = np.nan
    return arguments


def _wrong(name: str, error: type[OpError], query: Shape, key: Shape, value: Shape, **options: Any) -> ErrorCase:
    return ErrorCase(
        name,
        lambda rng: {"query": normal(rng, *query), "key": normal(rng, *key), "value": normal(rng, *value), **options},
        error,
    )


def _wrong_grad(name: str, *shape: int) -> ErrorCase:
    """Returns a case in which one argument, for which it is named, has this shape."""
    return ErrorCase(
        name.replace("_", "-"), lambda rng: {**_attended_grad(2, 3, 5, 5, 4, {})(rng), name: normal(rng, *shape)}
    )


def _rotary(x: Array, cosine: Array, sine: Array, inverse: bool = False) -> Array:
    half = x.shape[-1] // 2
    turn = cosine + 1j * sine
    turned = (x[..., :half] + 1j * x[..., half:]) * (np.conj(turn) if inverse else turn)
    return np.concatenate([turned.real, turned.imag], axis=-1)


def _rotated(*shape: int, inverse: bool = False) -> Callable[[Generator], Arguments]:
    def draw(rng: Generator) -> Arguments:
        angle = rng.uniform(0.0, 6.0, (shape[-2], shape[-1] // 2))
        return {"x": normal(rng, *shape), "cosine": np.cos(angle), "sine": np.sin(angle), "inverse": inverse}

    return draw


CASES = (
    OpCase(
        name="attention",
        reference=_attention,
        tolerance=WEIGHTED,
        samples=(
            *(Sample(name, _attended(*size)) for name, size in SIZES.items()),
            Sample(
                "sharp",
                _sharp,
                Tolerance(2000, "scores of up to 10^3 lose three digits", of_largest=True),
                gradient=False,
            ),
        ),
        non_finite=(Sample("rows", _poisoned),),
        errors=(
            _wrong("query-dimensions", OpError, (3, 5, 4), (3, 5, 4), (3, 5, 4)),
            _wrong("key-width", ShapeError, (1, 2, 5, 4), (1, 2, 5, 3), (1, 2, 5, 4)),
            _wrong("key-heads", ShapeError, (1, 2, 5, 4), (1, 1, 5, 4), (1, 1, 5, 4)),
            _wrong("value-length", ShapeError, (1, 2, 5, 4), (1, 2, 5, 4), (1, 2, 6, 4)),
            _wrong("more-queries-than-keys", OpError, (1, 2, 5, 4), (1, 2, 3, 4), (1, 2, 3, 4)),
            _wrong("dropout-without-stream", OpError, (2, 2, 5, 4), (2, 2, 5, 4), (2, 2, 5, 4), dropout_rate=0.5),
            ErrorCase("dropout-rate", _attended(2, 2, 5, 5, 4, {"dropout_rate": 1.0, "random": STREAM})),
            ErrorCase("dropout-rows", _attended(3, 2, 5, 5, 4, {"dropout_rate": 0.5, "random": STREAM}), ShapeError),
        ),
        differentiable=("query", "key", "value"),
    ),
    OpCase(
        name="attention_grad",
        reference=_attention_grad,
        tolerance=WEIGHTED,
        samples=tuple(Sample(name, _attended_grad(*size)) for name, size in SIZES.items()),
        errors=(
            _wrong_grad("query", 2, 3, 4),
            _wrong_grad("key", 2, 3, 5, 3),
            _wrong_grad("value", 2, 3, 6, 4),
            _wrong_grad("grad", 2, 3, 1, 4),
            _wrong_grad("out", 2, 1, 5, 4),
            _wrong_grad("log_sum_exp", 2, 3, 5, 1),
        ),
    ),
    OpCase(
        name="rotary",
        reference=_rotary,
        tolerance=Tolerance(2, "two products and a sum, which may cancel", of_largest=True),
        samples=(
            Sample("odd", _rotated(2, 3, 5, 6)),
            Sample("matrix", _rotated(5, 4)),
            Sample("pair", _rotated(3, 1, 2)),
            Sample("inverse", _rotated(2, 3, 5, 6, inverse=True)),
            Sample("empty", _rotated(0, 5, 4)),
            Sample("tiles", _rotated(2, 33, 66)),
        ),
        errors=(
            ErrorCase(
                "odd-width",
                lambda rng: {"x": normal(rng, 3, 5), "cosine": normal(rng, 3, 2), "sine": normal(rng, 3, 2)},
            ),
            ErrorCase(
                "table-length",
                lambda rng: {"x": normal(rng, 3, 4), "cosine": normal(rng, 2, 2), "sine": normal(rng, 3, 2)},
                ShapeError,
            ),
            ErrorCase(
                "table-width",
                lambda rng: {"x": normal(rng, 3, 4), "cosine": normal(rng, 3, 2), "sine": normal(rng, 3, 4)},
                ShapeError,
            ),
        ),
        differentiable=("x",),
    ),
)
