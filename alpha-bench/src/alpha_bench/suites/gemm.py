"""The suite `gemm`: matrix products, square and as the linear layers of the models need them, in all transpositions."""

import attrs
import numpy as np

from alpha_bench.case import Case, Suite, Work
from alpha_bench.session import Session
from alpha_bench.suites.models import MODELS, QUICK_MODELS, BenchModel
from alpha_bench.suites.program_work import program_work

__all__ = ["SUITE"]

_SQUARES = (64, 128, 256, 512, 1024, 2048)
_TRANSPOSES = {"nn": (False, False), "nt": (False, True), "tn": (True, False), "tt": (True, True)}
_CHUNK = 256
"""Rows of x in one product: about what stays in a cache."""


@attrs.frozen(kw_only=True)
class _Product:
    """(m, k) by (k, n), each operand as it is or transposed."""

    name: str
    m: int
    n: int
    k: int
    transposes: str


def cases(session: Session) -> list[Case]:
    products = _quick() if session.quick else [*_squares(_SQUARES), *_linear_layers()]
    return [_case(product, precision) for product in products for precision in session.precisions]


def _quick() -> list[_Product]:
    (model,) = QUICK_MODELS.values()
    return [*_squares((24,)), *_layers_of(model)]


def _squares(sizes: tuple[int, ...]) -> list[_Product]:
    return [
        _Product(name=f"square-{size}", m=size, n=size, k=size, transposes=transposes)
        for size in sizes
        for transposes in _TRANSPOSES
    ]


def _linear_layers() -> list[_Product]:
    return [product for model in MODELS.values() for product in _layers_of(model)]


def _layers_of(model: BenchModel) -> list[_Product]:
    """Returns the products of each linear layer: forward x W^T, and backward dy W and dy^T x."""
    width, rows = model.config.n_embd, min(_CHUNK, model.tokens)
    layers = {
        "wqkv": (3 * width, width),
        "wo": (width, width),
        "fc1": (4 * width, width),
        "fc2": (width, 4 * width),
        "head": (model.config.vocab_size, width),
    }
    products = []
    for name, (out, into) in layers.items():
        stem = f"{model.name}-{name}"
        products += [
            _Product(name=f"{stem}-forward", m=rows, n=out, k=into, transposes="nt"),
            _Product(name=f"{stem}-dx", m=rows, n=into, k=out, transposes="nn"),
            _Product(name=f"{stem}-dw", m=out, n=into, k=rows, transposes="tn"),
        ]
    return products


def _case(product: _Product, precision: str) -> Case:
    def prepare(session: Session) -> Work:
        session.multiply_in(precision)
        backend = session.backend
        transpose_a, transpose_b = _TRANSPOSES[product.transposes]
        m, n, k = product.m, product.n, product.k
        generator = np.random.default_rng(0)
        a_shape, b_shape = ((k, m) if transpose_a else (m, k)), ((n, k) if transpose_b else (k, n))
        a = backend.upload(generator.standard_normal(a_shape).astype(np.float32))
        b = backend.upload(generator.standard_normal(b_shape).astype(np.float32))
        return program_work(
            session,
            lambda: [backend.matmul(a, b, transpose_a, transpose_b)],
            flops=2.0 * m * n * k,
            bytes=4.0 * (m * k + k * n + m * n),
        )

    return Case(
        suite="gemm",
        id=f"{product.name}-{product.transposes}-{precision}",
        parameters={
            "m": product.m,
            "n": product.n,
            "k": product.k,
            "transposes": product.transposes,
            "precision": precision,
        },
        prepare=prepare,
    )


SUITE = Suite(name="gemm", summary="matrix products: square, and those of linear layers", cases=cases)
