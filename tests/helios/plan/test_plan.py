"""Plans without a GPU, and what a device really needs."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from alpha_core.config import ModelConfig, RunConfig, TrainConfig
from alpha_core.errors import BackendError
from alpha_helios.backend import Helios
from alpha_helios.planner import load_planner, planner
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM
from alpha_model import GPT, Activation
from alpha_train.data import Batch
from alpha_train.optimizers.adamw import AdamW
from alpha_train.plan import plan
from alpha_train.plan_text import plan_lines
from alpha_train.trainer import Trainer

MODEL = ModelConfig(vocab_size=128, block_size=32, n_layer=2, n_embd=32, n_head=2)
STEPS = int(os.environ.get("ALPHA_HELIOS_STEPS", "100"))
"""So many steps must not need more memory than the first ones; 2,000 are worth a longer run."""
NO_LOADER = "import sys; from alpha_helios.vulkan import loader; loader._LIBRARIES[sys.platform] = ('libnone.so',)\n"


def make_batch(train: TrainConfig, seed: int = 0) -> Batch:
    tokens = np.random.default_rng(seed).integers(0, MODEL.vocab_size, (train.batch_size, MODEL.block_size + 1))
    held = tokens.astype(np.int32)
    rows = np.arange(train.batch_size, dtype=np.int32)
    return Batch(np.ascontiguousarray(held[:, :-1]), np.ascontiguousarray(held[:, 1:]), rows)


def trained(backend: Helios, train: TrainConfig, steps: int, after: Callable[[int], None] | None = None) -> Trainer:
    """Trains and evaluates; `after` is told after each step how many there were."""
    trainer = Trainer(GPT(MODEL), backend, train, AdamW(train))
    for step in range(steps):
        trainer.accumulate(make_batch(train, step))
        trainer.update(1e-3)
        if step % 10 == 0:
            trainer.loss([make_batch(train)])
        if after is not None:
            after(step + 1)
    return trainer


@pytest.mark.parametrize(
    ("precision", "recompute"), [("f32", False), ("f32", True), ("bf16", False)], ids=["f32", "recomputed", "bf16"]
)
def test_what_is_planned_is_what_a_device_reaches(helios: Helios, precision: str, recompute: bool) -> None:
    train = TrainConfig(batch_size=4, precision=precision, activation_checkpointing=recompute)
    config = RunConfig(model=MODEL, train=train)
    backend = planner(helios.info)
    made = plan(config, Activation.builtin(MODEL.activation), AdamW(train), backend=backend).planned
    assert made is not None
    gc.collect()
    memory = helios.device.memory
    before = memory.allocated_bytes
    memory.peak_bytes = before
    trained(helios, train, 20)
    assert memory.peak_bytes - before == pytest.approx(made.peak, rel=0.05)
    helios.set_matmul_dtype(helios.compute_dtypes[0])


def test_programs_start_what_was_planned(helios: Helios) -> None:
    """The null device counts what is recorded, and so does the program."""
    train = TrainConfig(batch_size=2)
    backend = planner(None)
    trainer = Trainer(GPT(MODEL), backend, train, AdamW(train), initialize=False)
    programs = trainer.record(train.batch_size)
    backend.queue.flush()
    device = backend.device
    batch = make_batch(train)
    before = device.recorded_dispatches  # type: ignore[attr-defined]
    programs["accumulate"](batch.tokens, batch.targets, batch.rows)
    assert device.recorded_dispatches - before == programs["accumulate"].dispatches  # type: ignore[attr-defined]
    programs["accumulate"](batch.tokens, batch.targets, batch.rows)
    assert device.recorded_dispatches - before == programs["accumulate"].dispatches  # type: ignore[attr-defined]


def test_the_memory_of_a_device_stays_what_it_is(helios: Helios) -> None:
    held: list[tuple[int, ...]] = []

    def note(step: int) -> None:
        if step in (20, STEPS):
            helios.device.wait()
            gc.collect()
            memory, host = helios.device.memory, helios.device.host_memory
            held.append((memory.allocated_bytes, memory.reserved_bytes, memory.peak_bytes, host.reserved_bytes))

    trained(helios, TrainConfig(batch_size=2), STEPS, note)
    assert held[0] == held[1]


def test_a_plan_needs_neither_loader_nor_gpu(tmp_path: Path) -> None:
    arguments = ["plan", "--backend=helios", "--no-read", "--json"]
    code = f"{NO_LOADER}\nfrom alpha_cli.main import main\nraise SystemExit(main({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)["plannedMemoryBytes"]
    assert planned["backend"] == "helios (planned for a GPU like those of today)"
    assert planned["dispatches"].keys() == planned["programs"].keys()
    assert all(count > 0 for count in planned["dispatches"].values())
    assert planned["available"] is None
    assert planned["onHost"] is False


def test_a_device_that_is_asked_for_and_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_DEVICE", "no such device")
    with pytest.raises(BackendError):
        load_planner()


def test_what_does_not_fit_is_planned_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_MEMORY_BYTES", str(1 << 30))
    small = attrs.evolve(NULL_GPU, heaps=NULL_MINIMUM.heaps)
    train = TrainConfig(batch_size=4096)
    model = attrs.evolve(MODEL, block_size=512)
    config = RunConfig(model=model, train=train)
    made = plan(config, Activation.builtin(model.activation), AdamW(train), backend=planner(small))
    assert made.planned is not None
    assert made.planned.available == 1 << 30 < made.planned.peak
    assert " of 1 GiB" in "\n".join(plan_lines(made))
