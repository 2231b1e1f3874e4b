"""Measures what metric sinks cost a training run: runs without and with them in turns, and compares their steps.

    .venv/bin/python tools/measure_sinks.py                      jsonl and db against none
    .venv/bin/python tools/measure_sinks.py --sinks=db --model=4x128 --rounds=8

Prints the median step of each, the difference, and how far the rounds spread; a difference within the spread is none.
Exit code 1 if the sinks cost more than `--limit` percent. Run it on a machine that does nothing else.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from alpha_core import load_plugins
from alpha_core.config import ModelConfig, RunConfig, TrainConfig
from alpha_core.observer import Observer
from alpha_train import start_run

_WARM_UP = 5  # steps at the beginning that do not count


class StepTimes(Observer):
    """When each step was done."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self.at.append(time.perf_counter())

    def seconds(self) -> float:
        """Returns the median step."""
        return median(after - before for before, after in pairwise(self.at[_WARM_UP:]))


def measure(folder: Path, sinks: tuple[str, ...], arguments: argparse.Namespace) -> float:
    """Trains once; returns the median step in seconds."""
    layers, width = map(int, arguments.model.split("x"))
    model = ModelConfig(block_size=64, n_layer=layers, n_embd=width, n_head=4)
    train = TrainConfig(
        data=str(folder / "text.txt"),
        tokenizer="char",
        backend=arguments.backend,
        iters=arguments.steps,
        batch_size=8,
        eval_interval=0,
        sample_interval=0,
        runs_dir=str(folder / "runs"),
    )
    times = StepTimes()
    start_run(RunConfig(model=model, train=train), load_plugins(), sinks=sinks, observer=times)
    return times.seconds()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sinks", default="jsonl,db")
    parser.add_argument("--model", default="4x128", help="layers x width")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.0, help="percent")
    arguments = parser.parse_args()
    sinks = tuple(arguments.sinks.split(","))
    without, with_sinks = [], []
    with tempfile.TemporaryDirectory(prefix="alpha-sinks-") as name:
        folder = Path(name)
        os.environ["ALPHA_CACHE"] = str(folder / "cache")
        (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 500, encoding="utf-8")
        measure(folder, (), arguments)  # tokens and kernels come from the cache from now on
        for _ in range(arguments.rounds):
            without.append(measure(folder, (), arguments))
            with_sinks.append(measure(folder, sinks, arguments))
    cost = 100 * (median(with_sinks) / median(without) - 1)
    spread = 100 * (max(without) - min(without)) / median(without)
    print(f"{platform.platform()}, {os.cpu_count()} processors, {arguments.rounds} rounds of {arguments.steps} steps")
    print(f"without sinks  {1000 * median(without):8.3f} ms a step")
    print(f"{arguments.sinks:<13}  {1000 * median(with_sinks):8.3f} ms a step, {cost:+.2f}% (spread {spread:.2f}%)")
    return 1 if cost > arguments.limit else 0


if __name__ == "__main__":
    sys.exit(main())
