"""Traces of training on a device: a file for Perfetto, a table with rates, and nothing at all when nobody asks."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpha_core.config import ModelConfig, TrainConfig
from alpha_helios.backend import Helios
from alpha_helios.vulkan.commands import CommandList
from alpha_helios.vulkan.device import Device
from alpha_model import GPT
from alpha_train.data import Batch
from alpha_train.optimizers.adamw import AdamW
from alpha_train.trace import Tracer, write_chrome_trace
from alpha_train.trace_text import trace_lines
from alpha_train.trainer import Trainer

MODEL = ModelConfig(vocab_size=40, block_size=16, n_layer=1, n_embd=32, n_head=2)
TRAIN = TrainConfig(batch_size=2)


@pytest.fixture
def step(helios: Helios) -> Callable[[], None]:
    """Accumulates a batch and updates."""
    trainer = Trainer(GPT(MODEL), helios, TRAIN, AdamW(TRAIN))
    tokens = np.random.default_rng(0).integers(0, 40, (2, 16)).astype(np.int32)
    batch = Batch(tokens, tokens, np.arange(2, dtype=np.int32))

    def run() -> None:
        trainer.accumulate(batch)
        trainer.update(1e-3)

    run()
    return run


def traced(helios: Helios, step: Callable[[], None], steps: int) -> Tracer:
    tracer = Tracer(1, steps)
    for _ in range(steps):
        tracer.begin_step(helios)
        with tracer.phase("a step"):
            step()
        tracer.end_step(helios)
    return tracer


def test_every_kernel_of_the_traced_steps_is_in_the_file_with_its_work(
    helios: Helios, step: Callable[[], None], tmp_path: Path
) -> None:
    tracer = traced(helios, step, 3)
    path = tmp_path / "trace.json"
    write_chrome_trace(path, [*tracer.phases, *tracer.kernels])
    events = json.loads(path.read_text())["traceEvents"]
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert set(tracks.values()) == {"training", "device"}
    kernels = [event for event in events if event["ph"] == "X" and tracks[event["tid"]] == "device"]
    assert len(kernels) == len(tracer.kernels) > 0
    assert len(kernels) % 3 == 0  # a replayed step does the same every time
    for before, behind in pairwise(kernels):
        assert before["ts"] + before["dur"] <= behind["ts"] + 0.01  # microseconds: they do not overlap
    products = [event for event in kernels if event["name"].startswith("gemm")]
    assert all(event["args"]["flops"] > 0 and event["args"]["bytes"] > 0 for event in products)
    whole = [event for event in events if event["name"] == "a step"]
    assert whole[0]["ts"] - 1e3 <= kernels[0]["ts"]
    assert kernels[-1]["ts"] + kernels[-1]["dur"] <= whole[-1]["ts"] + whole[-1]["dur"] + 1e3


def test_the_work_of_products_is_what_a_step_has(helios: Helios, step: Callable[[], None]) -> None:
    """Matrix products of a step: forward, and twice that for gradients; attention is counted apart."""
    kernels = traced(helios, step, 1).kernels
    counted = sum(kernel.flops for kernel in kernels if kernel.name.startswith(("gemm", "gemv")))
    width, tokens = MODEL.n_embd, 2 * MODEL.block_size
    weights = 12 * width * width + width * MODEL.vocab_size
    assert counted == pytest.approx(3 * 2 * tokens * weights, rel=0.1)


def test_the_table_has_rates(helios: Helios, step: Callable[[], None]) -> None:
    lines = list(trace_lines(traced(helios, step, 2)))
    header = next(line for line in lines if line.startswith("kernel"))
    assert header.split()[-2:] == ["GFLOP/s", "GB/s"]
    product = next(line for line in lines if line.startswith("gemm"))
    flops, nbytes = map(float, product.split()[-2:])
    assert flops > 0
    assert nbytes > 0


def test_nothing_is_timed_when_nothing_is_traced(
    helios: Helios, step: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a timestamp")

    monkeypatch.setattr(Device, "timestamps", refuse)
    monkeypatch.setattr(CommandList, "timestamp", refuse)
    monkeypatch.setattr(CommandList, "reset_timestamps", refuse)
    recorded = []
    record = helios.device.record
    monkeypatch.setattr(
        helios.device, "record", lambda *names, **options: recorded.append(names) or record(*names, **options)
    )
    step()
    assert not any("program" in name for (name,) in recorded)  # the lists that there were are handed over again


def test_after_a_trace_the_step_is_what_it_was(helios: Helios, step: Callable[[], None]) -> None:
    kept = len(helios.device._timestamps)
    traced(helios, step, 2)
    helios.device.wait()
    assert all(known.pool is None for known in helios.device._timestamps[kept:])
    assert helios.tracer is None
    step()
