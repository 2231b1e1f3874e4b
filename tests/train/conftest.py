"""Whole runs on a small text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_core import Plugins, load_plugins
from alpha_core.config import ModelConfig, RunConfig, SampleConfig, TrainConfig

TEXT = "".join(f"line {i}: the quick brown fox jumps over {i * i} lazy dogs\n" for i in range(150))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens of a test go into its own cache."""
    monkeypatch.setenv("ALPHA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def make_config(tmp_path: Path, text: Path) -> Callable[..., RunConfig]:
    """Returns a configuration of a tiny run; keyword arguments change settings of `[model]` and `[train]`."""

    def make(**settings: object) -> RunConfig:
        model = {"block_size": 16, "n_layer": 2, "n_embd": 16, "n_head": 2}
        train = {
            "data": str(text),
            "tokenizer": "char",
            "backend": "cpu_ref",
            "iters": 12,
            "batch_size": 3,
            "lr": 1e-2,
            "eval_interval": 4,
            "eval_iters": 2,
            "sample_interval": 0,
            "sinks": ("jsonl",),
            "runs_dir": str(tmp_path / "runs"),
        }
        for key, value in settings.items():
            (model if key in ModelConfig.__annotations__ else train)[key] = value
        return RunConfig(
            model=ModelConfig(**model),  # type: ignore[arg-type]
            train=TrainConfig(**train),  # type: ignore[arg-type]
            sample=SampleConfig(steps=8),
        )

    return make
