"""Runs from start to end: resuming bit by bit, and a checkpoint that is the same model on another backend."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.train.test_run import StopAfter, losses, stored_config

from alpha_core import Plugins, load_plugins
from alpha_core.config import ModelConfig, RunConfig, SampleConfig, TrainConfig
from alpha_core.descriptors import BackendInfo
from alpha_core.dtype import DType
from alpha_helios.backend import Helios
from alpha_helios.program import HeliosProgram
from alpha_helios.vulkan.errors import DeviceLostError, lost_message
from alpha_helios.vulkan.timeline import Queue
from alpha_tensor.cpu_ref.backend import CpuRef
from alpha_train import RunFolder, resume_run, start_run
from alpha_train.inference import load_run
from alpha_train.sampling import Sampler

TEXT = "".join(f"{i} times {j} is {i * j}.\n" for i in range(2, 12) for j in range(2, 12))


@pytest.fixture
def plugins(helios: Helios, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Plugins whose `helios` is the backend of the tests."""
    loaded = load_plugins()
    infos = {
        "helios": BackendInfo(name="helios", summary="For a test.", load=lambda: helios),
        "cpu_ref": BackendInfo(name="cpu_ref", summary="For a test.", load=CpuRef),
    }
    monkeypatch.setattr(loaded.backends, "get", infos.__getitem__)
    return loaded


@pytest.fixture(autouse=True)
def _f32_again(helios: Helios) -> Iterator[None]:
    yield
    helios.set_matmul_dtype(DType.f32)


def config_of(tmp_path: Path, **settings: object) -> RunConfig:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    train: dict[str, object] = {
        "data": str(text),
        "tokenizer": "char",
        "backend": "helios",
        "iters": 12,
        "batch_size": 3,
        "lr": 1e-2,
        "eval_interval": 4,
        "eval_iters": 2,
        "sample_interval": 0,
        "sinks": ("jsonl",),
        "runs_dir": str(tmp_path / "runs"),
    }
    dropout = float(settings.pop("dropout", 0.0))  # type: ignore[arg-type]
    model = ModelConfig(block_size=16, n_layer=2, n_embd=32, n_head=2, dropout=dropout)
    return RunConfig(
        model=model,
        train=TrainConfig(**{**train, **settings}),  # type: ignore[arg-type]
        sample=SampleConfig(steps=24, temperature=0.0),
    )


@pytest.mark.parametrize(
    "settings", [{"dropout": 0.2, "accum_steps": 2}, {"precision": "bf16"}, {"precision": "f16", "dropout": 0.1}]
)
def test_stopping_and_resuming_changes_no_bit(settings: dict[str, object], tmp_path: Path, plugins: Plugins) -> None:
    config = config_of(tmp_path, **settings)
    straight = start_run(config, plugins).folder
    stopped = start_run(config, plugins, stop=StopAfter(6)).folder
    resumed = resume_run(stopped, stored_config(stopped), plugins).folder
    assert losses(resumed) == losses(straight)
    ours, theirs = straight.latest_checkpoint(), resumed.latest_checkpoint()
    for name, array in ours.parameters.items():
        np.testing.assert_array_equal(theirs.parameters[name], array, err_msg=name)
    for name, slots in ours.optimizer_state.items():
        for slot, array in slots.items():
            np.testing.assert_array_equal(theirs.optimizer_state[name][slot], array, err_msg=f"{name}.{slot}")
            assert np.any(array != 0), f"{name}.{slot}: the moments are really those of the device"


def test_a_lost_device_is_told_with_program_and_step_and_leaves_the_last_checkpoint(
    tmp_path: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = start_run(config_of(tmp_path), plugins).folder
    record, submit = HeliosProgram._run, Queue.submit
    updates = 0

    def count(program: HeliosProgram, inputs: Any) -> Any:
        nonlocal updates
        updates += program.name == "update"
        return record(program, inputs)

    def lose(queue: Queue, command_buffer: Any, waits: Any, what: str) -> int:
        if updates == 6:
            raise DeviceLostError(lost_message(f"start {what}"))
        return submit(queue, command_buffer, waits, what)

    with monkeypatch.context() as patch:
        patch.setattr(HeliosProgram, "_run", count)
        patch.setattr(Queue, "submit", lose)
        with pytest.raises(DeviceLostError, match=r"^step 6: the device was lost .*program `update`"):
            start_run(config_of(tmp_path, tag="lost"), plugins)
    (lost,) = [RunFolder(path) for path in (tmp_path / "runs").iterdir() if path.name.startswith("lost_")]
    assert lost.latest_checkpoint().step == 4
    resumed = resume_run(lost, stored_config(lost), plugins).folder
    assert losses(resumed)[-1] == losses(straight)[-1]


def test_a_checkpoint_writes_the_same_text_everywhere(tmp_path: Path, plugins: Plugins) -> None:
    folder = start_run(config_of(tmp_path, iters=150), plugins).folder
    prompts = ["2 times 3", "11 times", "\n"]
    texts = [_written(folder, plugins, backend, prompts) for backend in ("helios", "cpu_ref")]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == len(prompts)


def _written(folder: RunFolder, plugins: Plugins, backend: str, prompts: list[str]) -> list[str]:
    run = load_run(folder, plugins, backend=backend)
    sampler = Sampler(run.model, run.backend, run.parameters, run.tokenizer)
    return [one.text for one in sampler.complete(prompts, SampleConfig(steps=24, temperature=0.0))]
