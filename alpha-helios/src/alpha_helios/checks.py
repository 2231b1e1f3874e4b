"""What the self-test computes: small things of every kind, with odd sizes, and what they should be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.errors import BackendError
from alpha_core.tensor import Tensor
from alpha_helios.coop import coop_variants
from alpha_helios.coop2 import tensor_variants
from alpha_helios.product import Problem, Task
from alpha_helios.vulkan.errors import DeviceLostError, DeviceTimeoutError

if TYPE_CHECKING:
    from alpha_helios.backend import Helios

    Compute = Callable[[Helios, np.random.Generator], tuple["Array", "Array"]]
    """Returns what the device made, and what is right."""

__all__ = ["BASE", "CHECKS", "Check"]

Array = npt.NDArray[Any]

BASE = "base"
"""What is computed without any fast path."""


@attrs.frozen
class Check:
    """Something that is computed on a device, and what it should be."""

    path: str
    """The fast path that is on meanwhile, or `BASE`."""
    name: str
    compute: "Compute"
    tolerance: float = 1e-5
    """The largest error that is no mistake, as a share of the largest number."""

    def wrong(self, backend: "Helios") -> str | None:
        """Runs it, and says in a few words what was wrong, or returns None."""
        try:
            got, want = self.compute(backend, np.random.default_rng(5))
        except (DeviceLostError, DeviceTimeoutError):
            raise
        except BackendError as error:
            return f"{self.name}: {error.message}"
        got, want = got.astype(np.float64), np.asarray(want, np.float64)
        allowed = self.tolerance * float(np.abs(want).max(initial=0))
        off = ~(np.abs(got - want) <= allowed)  # a NaN is off as well
        if not off.any():
            return None
        place = tuple(int(index[0]) for index in np.nonzero(off))
        return f"{self.name}: {off.sum()} of {off.size} values, such as {got[place]:.6g} for {want[place]:.6g}"


def _random(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    return rng.standard_normal(shape).astype(np.float32)


def _transferred(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    """Bytes there, from one place to another, and back; large enough for a queue of their own."""
    device = backend.device
    want = rng.integers(0, 256, 600_001, np.uint8)
    with (
        device.memory.allocate(want.nbytes, "a test") as first,
        device.memory.allocate(want.nbytes, "a test") as second,
    ):
        device.staging.upload(first, want)
        commands = device.record("the self-test of transfers")
        commands.copy(first, second, want.nbytes)
        device.submit(commands)
        device.staging.upload(first, want[::-1])
        waiting = device.staging.start_download(second)
        swapped = np.frombuffer(device.staging.download(first), np.uint8)
        got = np.frombuffer(waiting.result(), np.uint8)
        return np.stack([got, swapped]), np.stack([want, want[::-1]])


def _elementwise(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    x, y = _random(rng, 1003), _random(rng, 1003)
    got = backend.add(backend.exp(backend.upload(x)), backend.mul(backend.upload(y), 3.0))
    return backend.download(got), np.exp(x.astype(np.float64)) + y.astype(np.float64) * 3


def _sums(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    x = _random(rng, 37, 1500)
    held = backend.upload(x)
    got = [backend.download(backend.sum(held, axis)) for axis in (1, 0)]
    return np.concatenate(got), np.concatenate([x.sum(axis, np.float64) for axis in (1, 0)])


def _short_sums(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    x = _random(rng, 70, 27)
    return backend.download(backend.sum(backend.upload(x), 1)), x.sum(1, np.float64)


def _softmax(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    x = _random(rng, 5, 70)
    return backend.download(backend.softmax(backend.upload(x))), _softmax_of(x)


def _norm(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    x, weight, bias = _random(rng, 7, 48), _random(rng, 48), _random(rng, 48)
    got = backend.layer_norm(backend.upload(x), backend.upload(weight), backend.upload(bias))
    centred = x.astype(np.float64) - x.mean(1, np.float64, keepdims=True)
    want = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * weight + bias
    return backend.download(got), want


def _product(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    a, b = _random(rng, 65, 47), _random(rng, 65, 70)
    got = backend.matmul(backend.upload(a), backend.upload(b), transpose_a=True)
    return backend.download(got), a.T.astype(np.float64) @ b


def _few_rows(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    a, b = _random(rng, 2, 200), _random(rng, 60, 200)
    got = backend.matmul(backend.upload(a), backend.upload(b), transpose_b=True)
    return backend.download(got), a.astype(np.float64) @ b.T


def _repeated_rows(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    """The gradient of an embedding in which most tokens are the same."""
    grad, ids = _random(rng, 300, 9), np.minimum(rng.integers(0, 30, 300), 7).astype(np.int32)
    want = np.zeros((8, 9))
    np.add.at(want, ids, grad)
    return backend.download(backend.embedding_grad(backend.upload(grad), backend.upload(ids), 8)), want


def _attention(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    query, key, value = (_random(rng, 2, 2, 33, 16) for _ in range(3))
    out, _ = backend.attention(backend.upload(query), backend.upload(key), backend.upload(value))
    scores = query.astype(np.float64) @ key.swapaxes(-1, -2) / 4
    scores[..., np.triu(np.ones((33, 33), bool), 1)] = -np.inf
    return backend.download(out), _softmax_of(scores) @ value


def _softmax_of(x: Array) -> Array:
    powers = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def _rounded(dtype: DType) -> "Compute":
    """Numbers of all sizes there and back, rounded to 16 bits on the way, by two kernels."""

    def compute(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
        x = (_random(rng, 999) * np.float32(2) ** rng.integers(-12, 12, 999)).astype(np.float32)
        x[:3] = 0.0, 1 + 2**-9, 1 + 2**-11  # ties
        got = backend.cast(backend.cast(backend.upload(x), dtype), DType.f32)
        return backend.download(got), bf16_values(bf16_bits(x)) if dtype is DType.bf16 else x.astype(np.float16)

    return compute


def _short_product(dtype: DType) -> "Compute":
    """A product of rounded operands whose result is stored in 16 bits; sizes are ragged."""

    def compute(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
        a, b = _random(rng, 70, 90), _random(rng, 90, 75)
        with _products_of(backend, dtype):
            got = backend.download(backend.matmul(backend.upload(a), backend.upload(b)))
        return got, a.astype(np.float64) @ b

    return compute


def _matrices(path: str) -> "Compute":
    """A product by each kernel of a path that the device takes, of operands with and without edges that are aligned."""

    def compute(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
        arrays = _random(rng, 141, 72), _random(rng, 72, 133)
        got, want = [], []
        for dtype in (DType.f16, DType.bf16):
            a, b = (_stored(backend, array, dtype) for array in arrays)
            right = np.matmul(*(backend.download(x).astype(np.float64) for x in (a, b)))
            problem = Problem.of(a, b, False, False, right.shape)
            task = Task(problem, backend.empty(right.shape), backend.empty, dtype.value)
            for variant in (*coop_variants(task, backend.info), *tensor_variants(task, backend.info)):
                if variant.parts == 1 and str(variant).startswith(f"{path} "):
                    for launch in variant.launches(task):
                        backend.run(launch)
                    got.append(backend.download(task.out))
                    want.append(right)
        return np.array(got), np.array(want)

    return compute


def _short_attention(dtype: DType) -> "Compute":
    """Attention and its gradients with operands of 16 bits, of two heads with ragged ends."""

    def compute(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
        arrays = [_random(rng, 1, 2, 70, 24) for _ in range(4)]
        query, key, value, grad = (_stored(backend, array, dtype) for array in arrays)
        with _products_of(backend, dtype):
            out, log_sum_exp = backend.attention(query, key, value)
            grads = backend.attention_grad(grad, query, key, value, out, log_sum_exp)
        q, k, v, g = (backend.download(x).astype(np.float64) for x in (query, key, value, grad))
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(24)
        scores[..., np.triu(np.ones((70, 70), bool), 1)] = -np.inf
        weights = _softmax_of(scores)
        slope = g @ v.swapaxes(-1, -2)
        slope = weights * (slope - (slope * weights).sum(-1, keepdims=True)) / np.sqrt(24)
        want = weights @ v, slope @ k, slope.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ g
        return np.array([backend.download(x) for x in (out, *grads)]), np.array(want)

    return compute


def _stored(backend: "Helios", array: Array, dtype: DType) -> Tensor:
    """Uploads f32 numbers that are stored in 16 bits."""
    with _products_of(backend, dtype):
        tensor = backend.activation(array.shape)
    backend.assign(tensor, backend.upload(array))
    return tensor


@contextmanager
def _products_of(backend: "Helios", dtype: DType) -> Iterator[None]:
    """Computes products of 16-bit operands for a while, although nobody knows yet whether the device does it right."""
    before, backend.matmul_dtype = backend.matmul_dtype, dtype
    try:
        yield
    finally:
        backend.matmul_dtype = before


def _bytes(backend: "Helios", rng: np.random.Generator) -> tuple[Array, Array]:
    x, weight, scale = _random(rng, 2, 96), rng.integers(-127, 128, (40, 96)).astype(np.int8), _random(rng, 40)
    got = backend.quantized_matmul(backend.upload(x), backend.upload(weight), backend.upload(scale))
    return backend.download(got), x.astype(np.float64) @ weight.T * scale


CHECKS = (
    Check("mapped", "transfers", _transferred, 0.0),
    Check("transfers", "transfers", _transferred, 0.0),
    Check(BASE, "transfers", _transferred, 0.0),
    Check(BASE, "exponentials", _elementwise),
    Check(BASE, "sums", _sums),
    Check(BASE, "a softmax", _softmax),
    Check(BASE, "a layer norm", _norm),
    Check(BASE, "a matrix product", _product),
    Check(BASE, "a product with two rows", _few_rows),
    Check(BASE, "the gradient of an embedding", _repeated_rows),
    Check(BASE, "attention", _attention),
    Check("subgroups", "sums", _short_sums),
    Check("subgroups", "a softmax", _softmax),
    Check("subgroups", "a layer norm", _norm),
    Check("subgroups", "a product with two rows", _few_rows),
    Check("16bit", "rounding to f16", _rounded(DType.f16), 0.0),
    Check("16bit", "rounding to bf16", _rounded(DType.bf16), 0.0),
    Check("16bit", "a product of f16", _short_product(DType.f16), 2e-3),
    Check("16bit", "a product of bf16", _short_product(DType.bf16), 1.5e-2),
    Check("16bit", "attention in bf16", _short_attention(DType.bf16), 1.5e-2),
    Check("coop", "a product by matrices", _matrices("coop"), 1e-4),
    Check("coop", "attention by matrices of f16", _short_attention(DType.f16), 2e-3),
    Check("coop", "attention by matrices of bf16", _short_attention(DType.bf16), 1.5e-2),
    Check("coop2", "a product by matrices", _matrices("coop2"), 1e-4),
    Check("coop2", "attention with scores in matrices of f16", _short_attention(DType.f16), 2e-3),
    Check("coop2", "attention with scores in matrices of bf16", _short_attention(DType.bf16), 1.5e-2),
    Check("8bit", "a product with weights in bytes", _bytes),
)
"""In this order: without right transfers there is nothing to look at."""
