"""What decoding cannot be faster than: reading as many bytes as the weights have, once for each token, on all cores."""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import numpy as np

from benchmarks.peers.serve import Case, Prepared, Settings, serve


def prepare(case: Case, settings: Settings) -> Prepared:
    """The case has `weight_bytes` and `steps`. numpy's dot product waits for nothing but memory."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = [np.ones(case["weight_bytes"] // 4 // threads, np.float32) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)

    def run() -> None:
        for _ in range(case["steps"]):
            list(pool.map(lambda part: np.dot(part, part), parts))

    run()
    return Prepared(run)


if __name__ == "__main__":
    serve({"numpy": version("numpy")}, {"decode": prepare})
