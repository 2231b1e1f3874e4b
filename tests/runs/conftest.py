"""Run folders that were really trained, and some that were spoiled on purpose."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_core import Plugins, load_plugins
from alpha_core.config import ModelConfig, RunConfig, TrainConfig, from_dict
from alpha_train.run import resume_run, start_run
from alpha_train.run_folder import RunFolder

ALPHA = str(Path(sys.executable).with_name("alpha"))
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("ALPHA_", "TURSO_"))},
    "OPENBLAS_NUM_THREADS": "1",
    "COLUMNS": "100",
}
TEXT = "".join(f"line {i}: the quick brown fox jumps over {i * i} lazy dogs\n" for i in range(150))

Alpha = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture(scope="session")
def make_config(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunConfig]:
    """Returns a tiny configuration; keyword arguments change settings of `[train]`."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.txt").write_text(TEXT)

    def make(runs: Path, *, activation: str = "gelu", **train: object) -> RunConfig:
        settings = {
            "data": str(folder / "text.txt"),
            "tokenizer": "char",
            "backend": "cpu_ref",
            "iters": 12,
            "batch_size": 3,
            "accum_steps": 2,
            "lr": 1e-2,
            "eval_interval": 4,
            "eval_iters": 2,
            "sample_interval": 0,
            "sinks": ("jsonl",),
            "runs_dir": str(runs),
            **train,
        }
        model = ModelConfig(block_size=16, n_layer=2, n_embd=16, n_head=2, activation=activation)
        return RunConfig(model=model, train=TrainConfig(**settings))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, plugins: Plugins, make_config: Callable[..., RunConfig]) -> Path:
    """A folder with `done_...`, completed after a resumption, and then `half_...`, stopped after step 5."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALPHA_CACHE", str(home / "cache"))
        runs = home / "runs"
        done = make_config(runs, tag="done")
        first = start_run(done, plugins, stop=StopAfter(6))
        resume_run(first.folder, from_dict(first.folder.read_config()), plugins)
        start_run(make_config(runs, tag="half", activation="silu", lr=2e-2), plugins, stop=StopAfter(5))
    return home


class StopAfter:
    """Asks a run to stop after some steps. It is asked once before the first."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> str | None:
        self.left -= 1
        return "the test" if self.left < 0 else None


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained` to write in."""
    return Path(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def folder_of(home: Path) -> Callable[[str], RunFolder]:
    """Returns the run with a tag."""

    def find(tag: str) -> RunFolder:
        (path,) = (home / "runs").glob(f"{tag}_*")
        return RunFolder(path)

    return find


@pytest.fixture
def alpha(home: Path) -> Alpha:
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ALPHA, *arguments],
            cwd=home,
            env={**ENVIRONMENT, "ALPHA_CACHE": str(home / "cache"), **environ},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    return run
