"""The gauge: how fast the machine itself is just now, by work that no change of Alpha makes faster or slower.

Other processes, the clock and neighbours of a virtual machine slow everything down for seconds or minutes. Within one
measurement nothing of that shows; between two it looks like a difference. The gauge goes with every result, so that
comparing can tell the two apart.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

__all__ = ["cores", "gauge"]

_WIDTH, _PRODUCTS = 192, 10
"""Matrices that fit a core's own cache; some 2 ms of work."""
_BYTES = 2**26
"""Of all threads together: more than most caches; some 5 ms of work."""


def cores() -> int:
    """Returns the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gauge(samples: int) -> dict[str, list[float]]:
    """Returns seconds of two pieces of work on every core at once: `compute` in caches, and `memory` from beyond them.

    On all cores, because a case that uses them all waits for the slowest; so for others this is the worst case.
    """
    threads = cores()
    matrices = [np.ones((2, _WIDTH, _WIDTH), np.float32) for _ in range(threads)]
    parts = [np.ones(_BYTES // 4 // threads, np.float32) for _ in range(threads)]

    def multiply(pair: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> None:
        for _ in range(_PRODUCTS):
            np.matmul(pair[0], pair[1])

    with ThreadPoolExecutor(threads) as pool:
        work: dict[str, Callable[[], object]] = {
            "compute": lambda: list(pool.map(multiply, matrices)),
            "memory": lambda: list(pool.map(lambda part: np.dot(part, part), parts)),
        }
        return {name: [_seconds(run) for _ in range(samples + 1)][1:] for name, run in work.items()}


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
