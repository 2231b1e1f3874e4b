"""Servers to report to, and runs to report."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.server.ingest_server import SECRET, IngestServer

from alpha_core import Plugins, load_plugins
from alpha_core.config import ModelConfig, RunConfig, SampleConfig, TrainConfig
from alpha_core.observer import RunInfo

RUN = "20260101000000_abcd"
TEXT = "".join(f"line {i}: the quick brown fox jumps over {i * i} lazy dogs\n" for i in range(150))


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person's own is used: no addresses, no cache, no proxy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALPHA_CACHE", str(tmp_path / "cache"))
    for name in ("ALPHA_REMOTE_URL", "ALPHA_REMOTE_UPLOAD", "DISCORD_WEBHOOK_URL", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALPHA_REMOTE_SECRET", SECRET)


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[IngestServer]:
    """A real server that is not yet started."""
    server = IngestServer(tmp_path / "received")
    yield server
    server.kill()


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    return RunInfo(
        run_id=RUN,
        folder=folder,
        config={"model": {"n_layer": 2, "n_embd": 16}, "train": {"iters": 40, "lr": 0.1}, "domain": "novels"},
        parameters=1234,
        iters=40,
        backend="cpu_ref (numpy)",
    )


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., RunConfig]:
    """Returns the configuration of a tiny run; keyword arguments change its settings of `[train]`."""
    (tmp_path / "text.txt").write_text(TEXT)

    def make(**settings: object) -> RunConfig:
        train = {
            "data": str(tmp_path / "text.txt"),
            "tokenizer": "char",
            "backend": "cpu_ref",
            "iters": 40,
            "batch_size": 2,
            "eval_interval": 10,
            "eval_iters": 1,
            "sample_interval": 10,
            "keep": 10,
            "sinks": ("jsonl", "remote"),
            "runs_dir": str(tmp_path / "runs"),
            **settings,
        }
        return RunConfig(
            model=ModelConfig(block_size=16, n_layer=1, n_embd=16, n_head=2),
            train=TrainConfig(**train),  # type: ignore[arg-type]
            sample=SampleConfig(steps=4),
        )

    return make
