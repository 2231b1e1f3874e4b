"""The gradient of every op: one row each in `GRADIENTS`, or a reason in `NO_GRAD`.

A rule is either a tuple with one function for each leading argument of the op, or one function that returns the
gradients of all leading arguments together. The functions get the backend, the gradient of the (first) output, the
output, and the op's arguments in the order of its signature. `None` stands for an argument that has no gradient.
Broadcasting is undone by the tape, so a rule may return a gradient of the broadcast shape.
"""

from collections.abc import Callable, Sequence
from typing import Any

from alpha_core.backend import Backend
from alpha_core.expression import Expression
from alpha_core.shape import normalize_axes, normalize_axis, reduced_shape
from alpha_core.tensor import Tensor

__all__ = ["GRADIENTS", "NO_GRAD", "REFUSED", "Rule"]

Gradient = Tensor | Sequence[Tensor] | None
Rule = tuple[Callable[..., Gradient] | None, ...] | Callable[..., Sequence[Gradient]]


def _sum(b: Backend, g: Tensor, out: Tensor, x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    kept = reduced_shape(x.shape, normalize_axes("sum", axes, x.ndim), True)
    return b.broadcast_to(b.reshape(g, kept), x.shape)


def _mean(b: Backend, g: Tensor, out: Tensor, x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    return _sum(b, b.mul(g, out.size / x.size) if x.size else g, out, x, axes, keepdims)


def _cat(b: Backend, g: Tensor, out: Tensor, tensors: Sequence[Tensor], axis: int) -> list[Tensor]:
    axis = normalize_axis("cat", axis, out.ndim)
    pieces, start = [], 0
    for tensor in tensors:
        pieces.append(b.slice(g, axis, start, start + tensor.shape[axis]))
        start += tensor.shape[axis]
    return pieces


def _slice(b: Backend, g: Tensor, out: Tensor, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return g if g.shape == x.shape else b.slice_grad(g, axis, start, x.shape[axis])


def _transpose(b: Backend, g: Tensor, out: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return b.transpose(g, tuple(axes.index(axis) for axis in range(len(axes))))


def _matmul_a(b: Backend, g: Tensor, out: Tensor, x: Tensor, y: Tensor, ta: bool, tb: bool) -> Tensor:
    return b.matmul(y, g, tb, True) if ta else b.matmul(g, y, False, not tb)


def _matmul_b(b: Backend, g: Tensor, out: Tensor, x: Tensor, y: Tensor, ta: bool, tb: bool) -> Tensor:
    return b.matmul(g, x, True, ta) if tb else b.matmul(x, g, not ta, False)


def _layer_norm(
    b: Backend, g: Tensor, out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float
) -> Sequence[Gradient]:
    dx, dweight, dbias = b.layer_norm_grad(g, x, weight, eps)
    return dx, dweight, None if bias is None else dbias


def _bias_activation(
    b: Backend, g: Tensor, out: Tensor, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Any
) -> Sequence[Gradient]:
    dx, dbias, dcoefficients = b.bias_activation_grad(g, x, bias, expression, coefficients)
    return dx, dbias, None, dcoefficients


def _attention(b: Backend, g: Tensor, out: tuple[Tensor, Tensor], q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> Any:
    return b.attention_grad(g, q, k, v, *out, *rest)


def _clip_coefficient(b: Backend, g: Tensor, out: Tensor, norm: Tensor, limit: float) -> Tensor:
    return b.where(b.greater(norm, limit), b.neg(b.div(b.mul(g, out), norm)), 0.0)


def _global_norm(b: Backend, g: Tensor, out: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    return [b.mul(tensor, b.div(g, out)) for tensor in tensors]


GRADIENTS: dict[str, Rule] = {
    # elementwise
    "cast": (lambda b, g, out, x, dtype: b.cast(g, x.dtype),),
    "add": (lambda b, g, out, x, y: g, lambda b, g, out, x, y: g),
    "sub": (lambda b, g, out, x, y: g, lambda b, g, out, x, y: b.neg(g)),
    "mul": (lambda b, g, out, x, y: b.mul(g, y), lambda b, g, out, x, y: b.mul(g, x)),
    "div": (lambda b, g, out, x, y: b.div(g, y), lambda b, g, out, x, y: b.neg(b.div(b.mul(g, out), y))),
    "maximum": (
        lambda b, g, out, x, y: b.where(b.greater(x, y), g, 0.0),
        lambda b, g, out, x, y: b.where(b.greater(x, y), 0.0, g),
    ),
    "minimum": (
        lambda b, g, out, x, y: b.where(b.greater(y, x), g, 0.0),
        lambda b, g, out, x, y: b.where(b.greater(y, x), 0.0, g),
    ),
    "where": (
        None,
        lambda b, g, out, condition, x, y: b.where(condition, g, 0.0),
        lambda b, g, out, condition, x, y: b.where(condition, 0.0, g),
    ),
    "exp": (lambda b, g, out, x: b.mul(g, out),),
    "log": (lambda b, g, out, x: b.div(g, x),),
    "sqrt": (lambda b, g, out, x: b.div(b.mul(g, 0.5), out),),
    "tanh": (lambda b, g, out, x: b.mul(g, b.sub(1.0, b.square(out))),),
    "neg": (lambda b, g, out, x: b.neg(g),),
    "abs": (lambda b, g, out, x: b.mul(g, b.sign(x)),),
    "square": (lambda b, g, out, x: b.mul(g, b.mul(x, 2.0)),),
    "sigmoid": (lambda b, g, out, x: b.mul(g, b.mul(out, b.sub(1.0, out))),),
    "clamp": (lambda b, g, out, x, low, high: b.clamp_grad(g, x, low, high),),
    # movement
    "reshape": (lambda b, g, out, x, shape: b.reshape(g, x.shape),),
    "transpose": (_transpose,),
    "broadcast_to": (lambda b, g, out, x, shape: g,),
    "slice": (_slice,),
    "slice_grad": (lambda b, g, out, x, axis, start, length: b.slice(g, axis, start, start + x.shape[axis]),),
    "cat": (_cat,),
    # reduction
    "sum": (_sum,),
    "max": (lambda b, g, out, x, axes, keepdims: b.max_grad(g, x, out, axes),),
    "mean": (_mean,),
    "sum_of_squares": (lambda b, g, out, x: b.mul(g, b.mul(x, 2.0)),),
    "global_norm": (_global_norm,),
    "clip_coefficient": (_clip_coefficient,),
    # matmul
    "matmul": (_matmul_a, _matmul_b),
    # indexing
    "gather": (lambda b, g, out, x, index, axis: b.gather_grad(g, index, axis, x.shape[axis]),),
    "gather_grad": (lambda b, g, out, x, index, axis, length: b.gather(g, index, axis),),
    "embedding": (lambda b, g, out, weight, ids: b.embedding_grad(g, ids, weight.shape[0]),),
    "embedding_grad": (lambda b, g, out, x, ids, rows: b.embedding(g, ids),),
    "top_k": (lambda b, g, out, x, k: b.gather_grad(g, out[1], -1, x.shape[-1]),),
    # dropout
    "dropout": (lambda b, g, out, x, rate, random: b.dropout(g, rate, random),),
    # softmax and loss
    "softmax": (lambda b, g, out, x: b.softmax_grad(g, out),),
    "log_softmax": (lambda b, g, out, x: b.log_softmax_grad(g, out),),
    "cross_entropy": (lambda b, g, out, x, targets, ignore: b.cross_entropy_grad(g, x, targets, ignore),),
    # normalization
    "layer_norm": _layer_norm,
    "rms_norm": lambda b, g, out, x, weight, eps: b.rms_norm_grad(g, x, weight, eps),
    # activation
    "bias_activation": _bias_activation,
    # attention
    "attention": _attention,
    "rotary": (lambda b, g, out, x, cosine, sine, inverse: b.rotary(g, cosine, sine, not inverse),),
}

ZERO: dict[str, str] = {
    "full": "has no tensor argument",
    "zeros": "has no tensor argument",
    "arange": "has no tensor argument",
    "greater": "is piecewise constant",
    "equal": "is piecewise constant",
    "sign": "is piecewise constant",
    "step": "is piecewise constant",
    "argmax": "is piecewise constant",
    "all_finite": "is piecewise constant",
    "choose_token": "is piecewise constant",
    "dropout_mask": "does not depend on a floating tensor",
}
"""Ops whose derivative is zero: a gradient ends at them."""

REFUSED: dict[str, str] = {
    **dict.fromkeys(
        (
            "attention_grad",
            "bias_activation_grad",
            "clamp_grad",
            "cross_entropy_grad",
            "layer_norm_grad",
            "log_softmax_grad",
            "max_grad",
            "rms_norm_grad",
            "softmax_grad",
        ),
        "is a gradient itself, and has no row for the second derivative",
    ),
    **dict.fromkeys(
        ("assign", "add_into", "adamw_update", "lion_update", "sgd_update", "write_rows"), "writes in place"
    ),
    **dict.fromkeys(("quantized_matmul", "quantized_embedding", "cached_attention"), "is for inference"),
}
"""Ops that would need a gradient and have none: using them on a watched tensor raises `GradientError`."""

NO_GRAD: dict[str, str] = {**ZERO, **REFUSED}
"""Every op without a row in `GRADIENTS`, and why."""
