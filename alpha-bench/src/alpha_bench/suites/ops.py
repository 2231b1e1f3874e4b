"""The suite `ops`: each family of kernels at the sizes that a model of width 256 meets in a chunk of 256 tokens.

Bytes are those of the operands, read once, and of the results, written once. FLOPs are counted where an op is bound by
them at all: an exponential or a tanh as 8, which is about what a polynomial takes.
"""

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from alpha_bench.case import Case, Suite, Work
from alpha_bench.session import Session
from alpha_bench.suites.models import composed_activation
from alpha_bench.suites.program_work import program_work
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.random import RandomStream
from alpha_core.tensor import Tensor
from alpha_model import Activation

__all__ = ["SUITE"]

_TRANSCENDENTAL = 8


@attrs.frozen(kw_only=True)
class _Sizes:
    rows: int = 256
    """Tokens."""
    width: int = 256
    hidden: int = 1024
    vocabulary: int = 2000
    heads: int = 8
    parameters: int = 2**20
    """Elements that an optimizer updates."""


@attrs.frozen
class _Kernel:
    """An op with its operands."""

    name: str
    make: Callable[["_Draw"], Callable[[], Sequence[Tensor | None]]]
    """Uploads the operands and returns the call."""
    elements: Callable[[_Sizes], float]
    """f32 elements (or as many i32) that are read and written."""
    flops: Callable[[_Sizes], float]


class _Draw:
    """Makes operands."""

    def __init__(self, backend: Backend, sizes: _Sizes) -> None:
        self.b, self.sizes = backend, sizes
        self._generator = np.random.default_rng(0)

    def floats(self, *shape: int) -> Tensor:
        return self.b.upload(self._generator.standard_normal(shape).astype(np.float32))

    def ids(self, below: int, count: int) -> Tensor:
        return self.b.upload(self._generator.integers(0, below, count).astype(np.int32))

    def grid(self) -> Tensor:
        """One value for each token and channel."""
        return self.floats(self.sizes.rows, self.sizes.width)

    def wide(self) -> Tensor:
        """One value for each token and channel inside the MLP."""
        return self.floats(self.sizes.rows, self.sizes.hidden)

    def logits(self) -> Tensor:
        return self.floats(self.sizes.rows, self.sizes.vocabulary)

    def targets(self) -> Tensor:
        return self.ids(self.sizes.vocabulary, self.sizes.rows)

    def randomness(self) -> RandomStream:
        """One sequence, at step 0."""
        step, rows = self.b.zeros((), DType.i32), self.b.zeros((1,), DType.i32)
        return RandomStream(0, 0, step, rows)


def _grid(s: _Sizes) -> float:
    return s.rows * s.width


def _wide(s: _Sizes) -> float:
    return s.rows * s.hidden


def _logits(s: _Sizes) -> float:
    return s.rows * s.vocabulary


def _add(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x, y = d.grid(), d.grid()
    return lambda: [d.b.add(x, y)]


def _bias(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x, bias = d.wide(), d.floats(d.sizes.hidden)
    return lambda: [d.b.add(x, bias)]


def _exp(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x = d.wide()
    return lambda: [d.b.exp(x)]


def _transpose(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    s = d.sizes
    x = d.floats(1, s.rows, s.heads, s.width // s.heads)
    return lambda: [d.b.transpose(x, (0, 2, 1, 3))]


def _slice(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    s = d.sizes
    x = d.floats(s.rows, 3 * s.width)
    return lambda: [d.b.slice(x, 1, s.width, 2 * s.width)]


def _sum(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x = d.wide()
    return lambda: [d.b.sum(x, (0,))]


def _norm(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    gradients = [d.floats(d.sizes.parameters // 4) for _ in range(4)]
    return lambda: [d.b.global_norm(gradients)]


def _layer_norm(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x, weight, bias = d.grid(), d.floats(d.sizes.width), d.floats(d.sizes.width)
    return lambda: [d.b.layer_norm(x, weight, bias)]


def _layer_norm_grad(d: _Draw) -> Callable[[], Sequence[Tensor | None]]:
    grad, x, weight = d.grid(), d.grid(), d.floats(d.sizes.width)
    return lambda: d.b.layer_norm_grad(grad, x, weight)


def _rms_norm(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x, weight = d.grid(), d.floats(d.sizes.width)
    return lambda: [d.b.rms_norm(x, weight)]


def _rms_norm_grad(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    grad, x, weight = d.grid(), d.grid(), d.floats(d.sizes.width)
    return lambda: d.b.rms_norm_grad(grad, x, weight)


def _softmax(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x = d.logits()
    return lambda: [d.b.softmax(x)]


def _cross_entropy(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    logits, targets = d.logits(), d.targets()
    return lambda: [d.b.cross_entropy(logits, targets)]


def _cross_entropy_grad(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    logits, targets, grad = d.logits(), d.targets(), d.floats(d.sizes.rows)
    return lambda: [d.b.cross_entropy_grad(grad, logits, targets)]


def _embedding(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    table, ids = d.floats(d.sizes.vocabulary, d.sizes.width), d.targets()
    return lambda: [d.b.embedding(table, ids)]


def _embedding_grad(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    grad, ids = d.grid(), d.targets()
    return lambda: [d.b.embedding_grad(grad, ids, d.sizes.vocabulary)]


def _dropout(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    x, random = d.grid(), d.randomness()
    return lambda: [d.b.dropout(x, 0.1, random)]


def _activation(activation: Activation) -> Callable[["_Draw"], Callable[[], Sequence[Tensor]]]:
    def make(d: _Draw) -> Callable[[], Sequence[Tensor]]:
        x, bias = d.wide(), d.floats(d.sizes.hidden)
        return lambda: [d.b.bias_activation(x, bias, activation.expression)]

    return make


def _activation_grad(activation: Activation) -> Callable[["_Draw"], Callable[[], Sequence[Tensor | None]]]:
    def make(d: _Draw) -> Callable[[], Sequence[Tensor | None]]:
        grad, x, bias = d.wide(), d.wide(), d.floats(d.sizes.hidden)
        return lambda: d.b.bias_activation_grad(grad, x, bias, activation.expression)[:2]

    return make


def _rotary(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    s = d.sizes
    half = s.width // s.heads // 2
    x, cosine, sine = d.floats(1, s.heads, s.rows, 2 * half), d.floats(s.rows, half), d.floats(s.rows, half)
    return lambda: [d.b.rotary(x, cosine, sine)]


def _adamw(d: _Draw) -> Callable[[], Sequence[Tensor]]:
    parameter, gradient, first, second = (d.floats(d.sizes.parameters) for _ in range(4))
    second = d.b.square(second)
    one, rate = d.b.full((), 1.0), d.b.full((), 1e-5)

    def update() -> Sequence[Tensor]:
        d.b.adamw_update(
            [parameter],
            [gradient],
            [first],
            [second],
            rate,
            one,
            one,
            one,
            one,
            beta1=0.9,
            beta2=0.95,
            eps=1e-8,
            weight_decay=0.1,
        )
        return []

    return update


def _kernels() -> list[_Kernel]:
    gelu, composed = Activation.builtin("gelu"), composed_activation()
    heavy = _TRANSCENDENTAL
    return [
        _Kernel("add", _add, lambda s: 3 * _grid(s), _grid),
        _Kernel("add-bias", _bias, lambda s: 2 * _wide(s), _wide),
        _Kernel("exp", _exp, lambda s: 2 * _wide(s), lambda s: heavy * _wide(s)),
        _Kernel("transpose", _transpose, lambda s: 2 * _grid(s), lambda s: 0.0),
        _Kernel("slice", _slice, lambda s: 2 * _grid(s), lambda s: 0.0),
        _Kernel("sum-rows", _sum, _wide, _wide),
        _Kernel("global-norm", _norm, lambda s: s.parameters, lambda s: 2 * s.parameters),
        _Kernel("layer-norm", _layer_norm, lambda s: 2 * _grid(s), lambda s: 7 * _grid(s)),
        _Kernel("layer-norm-grad", _layer_norm_grad, lambda s: 3 * _grid(s), lambda s: 16 * _grid(s)),
        _Kernel("rms-norm", _rms_norm, lambda s: 2 * _grid(s), lambda s: 4 * _grid(s)),
        _Kernel("rms-norm-grad", _rms_norm_grad, lambda s: 3 * _grid(s), lambda s: 11 * _grid(s)),
        _Kernel("softmax", _softmax, lambda s: 2 * _logits(s), lambda s: (heavy + 4) * _logits(s)),
        _Kernel("cross-entropy", _cross_entropy, _logits, lambda s: (heavy + 3) * _logits(s)),
        _Kernel(
            "cross-entropy-grad", _cross_entropy_grad, lambda s: 2 * _logits(s), lambda s: (heavy + 5) * _logits(s)
        ),
        _Kernel("embedding", _embedding, lambda s: 2 * _grid(s), lambda s: 0.0),
        _Kernel("embedding-grad", _embedding_grad, lambda s: _grid(s) + s.vocabulary * s.width, _grid),
        _Kernel("dropout", _dropout, lambda s: 2 * _grid(s), lambda s: 30 * _grid(s)),
        _Kernel("gelu", _activation(gelu), lambda s: 2 * _wide(s), lambda s: (heavy + 7) * _wide(s)),
        _Kernel("gelu-grad", _activation_grad(gelu), lambda s: 3 * _wide(s), lambda s: (heavy + 15) * _wide(s)),
        _Kernel("composed", _activation(composed), lambda s: 2 * _wide(s), lambda s: (2 * heavy + 7) * _wide(s)),
        _Kernel(
            "composed-grad", _activation_grad(composed), lambda s: 3 * _wide(s), lambda s: (2 * heavy + 12) * _wide(s)
        ),
        _Kernel("rotary", _rotary, lambda s: 2 * _grid(s), lambda s: 3 * _grid(s)),
        _Kernel("adamw", _adamw, lambda s: 7 * s.parameters, lambda s: 12 * s.parameters),
    ]


def cases(session: Session) -> list[Case]:
    tiny = _Sizes(rows=8, width=16, hidden=32, vocabulary=24, heads=2, parameters=256)
    return [_case(kernel, tiny if session.quick else _Sizes()) for kernel in _kernels()]


def _case(kernel: _Kernel, sizes: _Sizes) -> Case:
    def prepare(session: Session) -> Work:
        session.multiply_in("f32")
        function = kernel.make(_Draw(session.backend, sizes))
        return program_work(session, function, flops=kernel.flops(sizes), bytes=4.0 * kernel.elements(sizes))

    return Case(suite="ops", id=kernel.name, parameters={**attrs.asdict(sizes), "precision": "f32"}, prepare=prepare)


SUITE = Suite(name="ops", summary="each family of kernels at the sizes of a model", cases=cases)
