"""A finished run, for what the documentation says of its files and for the examples that read them."""

import shutil
from pathlib import Path

import pytest

from alpha_core import Plugins, load_plugins
from alpha_core.config import ModelConfig, RunConfig, SampleConfig, TrainConfig
from alpha_train import RunFolder, start_run

TEXT = "".join(f"line {i}: the quick brown fox jumps over {i * i} lazy dogs\n" for i in range(150))


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture(scope="session")
def finished(plugins: Plugins, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of a few steps that was evaluated and wrote samples, in a folder `runs`."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "text.txt").write_text(TEXT)
    config = RunConfig(
        model=ModelConfig(block_size=16, n_layer=1, n_embd=16, n_head=2, activation="kan"),
        train=TrainConfig(
            data=str(folder / "text.txt"),
            tokenizer="char",
            iters=4,
            batch_size=2,
            eval_interval=2,
            sample_interval=4,
            sinks=("jsonl", "csv"),
            runs_dir=str(folder / "runs"),
        ),
        sample=SampleConfig(steps=3),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALPHA_CACHE", str(folder / "cache"))
        return start_run(config, plugins).folder


@pytest.fixture
def workplace(finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a finished run below `runs`, and a cache of its own."""
    shutil.copytree(finished.path.parent, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALPHA_CACHE", str(tmp_path / "cache"))
    return tmp_path
