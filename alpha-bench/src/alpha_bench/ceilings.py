"""The ceilings of the roofline, measured on the spot: the most FLOP/s in each precision, the most bytes a second."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np

from alpha_bench.case import CaseSkippedError
from alpha_bench.gauge import cores
from alpha_bench.result import Result, Roofline
from alpha_bench.session import Session
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.tensor import Tensor

__all__ = ["Ceilings", "measure_ceilings", "with_roofline"]

_REPEATS = 7


@attrs.frozen(kw_only=True)
class Ceilings:
    """What the device reached at its best."""

    flops_per_second: Mapping[str, float]
    """By precision; one that the backend cannot compute in is left out."""
    bytes_per_second: float
    how: Mapping[str, str] = attrs.field(factory=dict)
    """By precision, and for `bytes`: what was run."""


def measure_ceilings(session: Session) -> Ceilings:
    """Measures the ceilings of the session's backend; the fastest of several runs, for noise only makes them slower."""
    flops: dict[str, float] = {}
    how: dict[str, str] = {}
    for precision in session.precisions:
        try:
            session.multiply_in(precision)
        except CaseSkippedError:
            continue
        flops[precision], how[precision] = _peak_flops(session.backend, precision, quick=session.quick)
    if flops:
        session.multiply_in("f32")
    bandwidth, how["bytes"] = _peak_bytes(session.backend, quick=session.quick)
    return Ceilings(flops_per_second=flops, bytes_per_second=bandwidth, how=how)


def with_roofline(result: Result, ceilings: Ceilings) -> Result:
    """Returns a result with its shares of the ceilings; as it is if it counts nothing, or nobody measured a ceiling."""
    precision = str(result.parameters.get("precision", "f32"))
    highest = ceilings.flops_per_second.get(precision)
    if result.median is None:
        return result
    flops_share = result.flops / result.median / highest if result.flops and highest else None
    bytes_share = result.bytes / result.median / ceilings.bytes_per_second if result.bytes else None
    if flops_share is None and bytes_share is None:
        return result
    return attrs.evolve(result, roofline=Roofline(flops_share=flops_share, bytes_share=bytes_share))


def _peak_flops(backend: Backend, precision: str, *, quick: bool) -> tuple[float, str]:
    """Returns the backend's own figure for what its arithmetic units reach, or its best square matrix product."""
    reached, size = max((_product_rate(backend, n), n) for n in ((64,) if quick else (384, 512, 768, 1024)))
    peak = backend.peak_flops(DType(precision))
    if peak is not None and peak > reached:
        return peak, f"the peak that `{backend.name}` measures"
    return reached, f"a product of square matrices, {size} wide"


def _product_rate(backend: Backend, size: int) -> float:
    values = np.random.default_rng(0).standard_normal((2, size, size)).astype(np.float32)
    a, b = backend.upload(values[0]), backend.upload(values[1])
    return 2 * size**3 / _fastest(backend, lambda: [backend.matmul(a, b)])


def _peak_bytes(backend: Backend, *, quick: bool) -> tuple[float, str]:
    """Returns the best of the backend reading and adding large tensors, and of numpy reading if they are the host's."""
    elements = 2**16 if quick else 2**26  # 256 MiB of f32, beyond any cache
    size = 4 * elements
    x = backend.full((elements,), 1.0)
    y = backend.full((elements,), 1.0)

    def add() -> list[Tensor]:
        backend.add_into(y, x)
        return []

    rates = [
        (size / _fastest(backend, lambda: [backend.sum_of_squares(x)]), f"`{backend.name}` reading {_mib(size)}"),
        (3 * size / _fastest(backend, add), f"`{backend.name}` adding {_mib(size)} to {_mib(size)}"),
    ]
    if backend.in_host_memory:
        threads = cores()
        rates.append((_host_read_rate(elements, threads), f"numpy reading {_mib(size)} on {threads} threads"))
    return max(rates)


def _host_read_rate(elements: int, threads: int) -> float:
    """Bytes a second that threads read together; numpy's dot product waits for nothing but memory."""
    parts = [np.ones(elements // threads, np.float32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def read() -> None:
            list(pool.map(lambda part: np.dot(part, part), parts))

        return 4 * sum(part.size for part in parts) / _fastest_of(read)


def _fastest(backend: Backend, function: Callable[[], list[Tensor]]) -> float:
    """Returns the seconds of the fastest replay of a program."""
    done, one = backend.zeros((), DType.f32), backend.full((), 1.0)

    def step() -> list[Tensor]:
        results = function()
        backend.add_into(done, one)
        return results

    program = backend.record(step, (), name="ceiling")

    def run() -> None:
        program()
        backend.download(done)

    return _fastest_of(run)


def _fastest_of(run: Callable[[], None]) -> float:
    run()
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def _mib(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"
