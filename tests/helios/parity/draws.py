"""Drawn arguments of ops: sizes of 1, odd ones, and those around the limits of tiles, vectors and workgroups."""

from collections.abc import Callable, Mapping

import numpy as np

from alpha_core.dtype import DType
from alpha_core.expression import X, coefficient, sigmoid, tanh
from alpha_testkit.op_cases.case import Arguments, Array, Stored, Stream
from alpha_testkit.op_cases.draw import Generator, integers, normal, positive

__all__ = ["DRAWS"]

LENGTHS = (1, 2, 3, 5, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 511, 513, 1023, 1025)
SMALL = LENGTHS[:13]
MOST_ELEMENTS = 60_000
EXPRESSIONS = (
    X * sigmoid(X),
    0.5 * X * (1.0 + tanh(0.8 * X)),
    X * X - X,
    coefficient("a", 0.5) * X + coefficient("b", 0.2) * tanh(X),
)


def length(rng: Generator, choices: tuple[int, ...] = LENGTHS) -> int:
    return int(rng.choice(choices))


def shape(rng: Generator, least: int = 0, most: int = 4) -> tuple[int, ...]:
    lengths: list[int] = []
    for _ in range(int(rng.integers(least, most + 1))):
        room = MOST_ELEMENTS // max(1, int(np.prod(lengths)))
        lengths.append(min(length(rng), max(1, room)))
    return tuple(int(one) for one in rng.permutation(lengths)) if lengths else ()


def values(rng: Generator, *lengths: int) -> Array:
    """Normal values at a drawn size: some tiny, some near what f16 holds."""
    return normal(rng, *lengths, scale=float(rng.choice([1.0, 1.0, 1.0, 1e-3, 30.0])))


def unary(rng: Generator) -> Arguments:
    return {"x": values(rng, *shape(rng))}


def positive_unary(rng: Generator) -> Arguments:
    return {"x": positive(rng, *shape(rng))}


def binary(rng: Generator) -> Arguments:
    """Operands that broadcast, one of them perhaps a number."""
    whole = shape(rng)
    kept = tuple(1 if rng.random() < 0.3 else one for one in whole)[int(rng.integers(0, len(whole) + 1)) :]
    sides = [
        values(rng, *whole),
        values(rng, *kept) if rng.random() < 0.8 else float(np.float32(rng.uniform(0.5, 2.0))),
    ]
    if rng.random() < 0.5 and not isinstance(sides[1], float):
        sides.reverse()
    return {"a": sides[0], "b": sides[1]}


def quotient(rng: Generator) -> Arguments:
    arguments = binary(rng)
    b = arguments["b"]
    return {**arguments, "b": b if isinstance(b, float) else positive(rng, *b.shape)}


def chosen(rng: Generator) -> Arguments:
    whole = shape(rng)
    return {"condition": np.asarray(np.sign(normal(rng, *whole))), "a": values(rng, *whole), "b": values(rng, *whole)}


def transposed(rng: Generator) -> Arguments:
    whole = shape(rng, 1)
    return {"x": values(rng, *whole), "axes": tuple(int(axis) for axis in rng.permutation(len(whole)))}


def sliced(rng: Generator) -> Arguments:
    whole = shape(rng, 1)
    axis = int(rng.integers(0, len(whole)))
    start, stop = sorted(int(one) for one in rng.integers(0, whole[axis] + 1, 2))
    return {"x": values(rng, *whole), "axis": axis, "start": start, "stop": stop}


def joined(rng: Generator) -> Arguments:
    whole = list(shape(rng, 1, 3))
    axis = int(rng.integers(0, len(whole)))
    parts = []
    for _ in range(int(rng.integers(1, 6))):
        whole[axis] = length(rng, SMALL)
        parts.append(values(rng, *whole))
    return {"tensors": parts, "axis": axis}


def reduced(rng: Generator) -> Arguments:
    whole = shape(rng, 1)
    axes = tuple(int(axis) for axis in np.flatnonzero(rng.random(len(whole)) < 0.5))
    return {"x": normal(rng, *whole), "axes": axes or None, "keepdims": bool(rng.random() < 0.5)}


def product(rng: Generator) -> Arguments:
    lead = tuple(length(rng, SMALL[:4]) for _ in range(int(rng.integers(0, 3))))
    rows, columns, inner = (length(rng, LENGTHS[:21]) for _ in range(3))
    transpose_a, transpose_b = (bool(rng.random() < 0.5) for _ in range(2))
    left = (*lead, inner, rows) if transpose_a else (*lead, rows, inner)
    right = (columns, inner) if transpose_b else (inner, columns)
    if lead and rng.random() < 0.6:
        right = (*lead, *right)
    return {
        "a": normal(rng, *left),
        "b": normal(rng, *right),
        "transpose_a": transpose_a,
        "transpose_b": transpose_b,
    }


def looked_up(rng: Generator) -> Arguments:
    rows, width = length(rng), length(rng, SMALL)
    return {"weight": normal(rng, rows, width), "ids": integers(rng, 0, rows, *shape(rng, 0, 2))}


def added_up(rng: Generator) -> Arguments:
    rows, width, count = length(rng), length(rng, SMALL), length(rng)
    ids = integers(rng, 0, max(1, rows // int(rng.choice([1, 1, 8]))), count)  # many repeat
    return {"grad": normal(rng, count, width), "ids": ids, "rows": rows}


def rows_of(rng: Generator) -> tuple[int, int]:
    return length(rng, SMALL), int(rng.choice([*LENGTHS, 2048, 4097]))


def logits(rng: Generator) -> Arguments:
    rows, classes = rows_of(rng)
    targets = integers(rng, 0, classes, rows)
    targets[rng.random(rows) < 0.2] = -1
    return {"logits": normal(rng, rows, classes, scale=5.0), "targets": targets}


def normalized(rng: Generator) -> Arguments:
    rows, width = rows_of(rng)
    return {"x": normal(rng, rows, width) + 0.5, "weight": positive(rng, width)}


def with_bias(rng: Generator) -> Arguments:
    arguments = normalized(rng)
    return {**arguments, "bias": normal(rng, *arguments["weight"].shape) if rng.random() < 0.7 else None}


def with_grad(draw: Callable[[Generator], Arguments]) -> Callable[[Generator], Arguments]:
    """Adds a gradient of the shape of x in front."""

    def drawn(rng: Generator) -> Arguments:
        arguments = draw(rng)
        return {"grad": normal(rng, *arguments["x"].shape), **arguments}

    return drawn


def activated(rng: Generator) -> Arguments:
    rows, width = rows_of(rng)
    expression = EXPRESSIONS[int(rng.integers(0, len(EXPRESSIONS)))]
    return {
        "x": normal(rng, rows, width),
        "bias": normal(rng, width) if rng.random() < 0.6 else None,
        "expression": expression,
        "coefficients": [normal(rng, width) for _ in expression.coefficients()],
    }


def attended(rng: Generator) -> Arguments:
    batch, heads, width = (int(rng.choice(choices)) for choices in ((1, 2, 3), (1, 2, 5), (1, 3, 8, 16, 24, 32, 64)))
    keys = length(rng, LENGTHS[:16])
    queries = keys if rng.random() < 0.7 else int(rng.integers(1, keys + 1))
    arguments: Arguments = {
        "query": normal(rng, batch, heads, queries, width),
        "key": normal(rng, batch, heads, keys, width),
        "value": normal(rng, batch, heads, keys, width),
        "soft_cap": float(rng.choice([0.0, 0.0, 5.0])),
    }
    if rng.random() < 0.4:
        arguments |= {"dropout_rate": 0.3, "random": stream(rng, batch)}
    return arguments


def stream(rng: Generator, rows: int) -> Stream:
    numbers = [int(one) for one in rng.integers(0, 2**31, 3)]
    return Stream(numbers[0], numbers[1], numbers[2] % 1000, tuple(int(one) for one in rng.integers(0, 1000, rows)))


def rotated(rng: Generator) -> Arguments:
    lead, time, half = shape(rng, 0, 2), length(rng, SMALL), int(rng.choice([1, 2, 5, 8, 16, 32]))
    angles = rng.uniform(0, 6.0, (time, half))
    return {
        "x": normal(rng, *(one % 7 + 1 for one in lead), time, 2 * half),
        "cosine": np.cos(angles),
        "sine": np.sin(angles),
        "inverse": bool(rng.random() < 0.5),
    }


def ranked(rng: Generator) -> Arguments:
    rows, width = rows_of(rng)
    return {"x": normal(rng, rows, width), "k": int(rng.integers(1, min(width, 60) + 1))}


def dropped(rng: Generator) -> Arguments:
    rows, width = length(rng, SMALL), length(rng)
    return {"x": normal(rng, rows, width), "rate": 0.25, "random": stream(rng, rows)}


def quantized(rng: Generator) -> Arguments:
    rows, count, inner = int(rng.choice([1, 1, 2, 3, 8, 17])), length(rng), length(rng)
    weight = Stored(np.asarray(rng.integers(-127, 128, (count, inner)), np.float64), DType.i8)
    return {"x": normal(rng, rows, inner), "weight": weight, "scale": positive(rng, count)}


def cached(rng: Generator) -> Arguments:
    batch, heads, capacity, width = (int(rng.choice(c)) for c in ((1, 3), (1, 4), LENGTHS[:18], (1, 5, 16, 64)))
    return {
        "query": normal(rng, batch, heads, width),
        "key": normal(rng, batch, heads, capacity, width),
        "value": normal(rng, batch, heads, capacity, width),
        "lengths": integers(rng, 1, capacity + 1, batch),
    }


DRAWS: Mapping[str, Callable[[Generator], Arguments]] = {
    **dict.fromkeys(("add", "sub", "mul", "maximum", "greater"), binary),
    "div": quotient,
    "where": chosen,
    **dict.fromkeys(("tanh", "sigmoid", "neg", "abs", "square", "step"), unary),
    **dict.fromkeys(("log", "sqrt"), positive_unary),
    "exp": lambda rng: {"x": normal(rng, *shape(rng))},
    "transpose": transposed,
    "slice": sliced,
    "cat": joined,
    **dict.fromkeys(("sum", "max", "mean"), reduced),
    "sum_of_squares": lambda rng: {"x": normal(rng, *shape(rng))},
    "global_norm": lambda rng: {"tensors": [normal(rng, *shape(rng)) for _ in range(int(rng.integers(1, 40)))]},
    "matmul": product,
    "embedding": looked_up,
    "embedding_grad": added_up,
    "top_k": ranked,
    "argmax": lambda rng: {"x": normal(rng, *rows_of(rng))},
    "dropout": dropped,
    "softmax": lambda rng: {"x": normal(rng, *rows_of(rng), scale=4.0)},
    "log_softmax": lambda rng: {"x": normal(rng, *rows_of(rng), scale=4.0)},
    "cross_entropy": logits,
    "cross_entropy_grad": lambda rng: {"grad": normal(rng, len((drawn := logits(rng))["targets"])), **drawn},
    "layer_norm": with_bias,
    "layer_norm_grad": with_grad(normalized),
    "rms_norm": normalized,
    "rms_norm_grad": with_grad(normalized),
    "bias_activation": activated,
    "bias_activation_grad": with_grad(activated),
    "attention": attended,
    "rotary": rotated,
    "quantized_matmul": quantized,
    "cached_attention": cached,
}
