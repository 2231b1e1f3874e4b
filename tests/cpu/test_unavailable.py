"""Without llvmlite: `cpu` is listed with what to install, `auto` takes `cpu_ref`, and asking for `cpu` says why not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ALPHA = Path(sys.executable).with_name("alpha")
HIDE = """
from importlib.machinery import PathFinder

found = PathFinder.find_spec


def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] == "llvmlite" else found(name, path, target)


PathFinder.find_spec = find_spec
"""
REASON = "the package `llvmlite` is not installed; `pip install 'alpha-tensor[fast]'` brings it"
Alpha = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def alpha(tmp_path: Path) -> Alpha:
    """Runs `alpha` where llvmlite cannot be found."""
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 40)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALPHA_", "PYTHON"))}
    environment = {**kept, "PYTHONPATH": str(tmp_path), "ALPHA_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [ALPHA, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_it_is_listed_with_the_command_that_installs_it(alpha: Alpha) -> None:
    listed = alpha("plugins", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    parts = json.loads(listed.stdout)
    assert REASON in json.dumps(parts)
    shown = alpha("plugins", "list")
    assert REASON in " ".join(shown.stdout.split())


@pytest.mark.parametrize("backend", ["auto", "cpu"])
def test_auto_takes_the_reference_and_the_name_says_why_not(alpha: Alpha, backend: str, tmp_path: Path) -> None:
    sizes = ("--block=8", "--layers=1", "--dim=8", "--heads=1", "--batch=2", "--iters=2", "--tokenizer=char")
    done = alpha("train", "--data=text.txt", f"--backend={backend}", *sizes)
    if backend == "cpu":
        assert done.returncode != 0
        assert REASON in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "runs").exists()
    else:
        assert done.returncode == 0, done.stderr
        assert "cpu_ref" in done.stdout + done.stderr
