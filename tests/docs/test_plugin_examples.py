"""The plugins that the pages of `docs/plugins/` show: each passes its kit, and one run uses all of them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.docs.conftest import TEXT
from tests.docs.pages import DOCS, ROOT, blocks

from alpha_core import hookspecs

FILES = {
    match[1]: block.code
    for page in sorted((DOCS / "plugins").iterdir())
    for block in blocks(page)
    if block.language == "python" and (match := re.match(r"# (\w+)\.py\n", block.code))
}
PLUGINS = {module.removeprefix("alpha_"): module for module, code in FILES.items() if "@hookimpl" in code}
KITS = {
    "quick_gelu": "activation",
    "bytes": "tokenizer",
    "signum": "optimizer",
    "inverse_sqrt": "schedule",
    "loss_file": "metric sink",
    "recipes": "domain",
    "careful": "backend",
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the examples, as one installed distribution."""
    for module, code in FILES.items():
        (tmp_path / f"{module}.py").write_text(code)
    metadata = tmp_path / "examples-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: examples\nVersion: 1.0\n")
    entries = [f"{name} = {module}" for name, module in PLUGINS.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[alpha]", *entries, ""]))
    return tmp_path


def alpha(folder: Path, *arguments: str, **environ: str) -> str:
    """Runs `alpha` in a folder, whose modules can be imported; returns what it printed."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_", "PYTEST_", "CI"))}
    environ = {**known, "PYTHONPATH": str(folder), "ALPHA_CACHE": str(folder / "cache"), **environ}
    command = [sys.executable, "-m", "alpha_cli", *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_hook_has_an_example() -> None:
    code = "\n".join(FILES.values())
    for hook in set(hookspecs.__all__) - {"hookimpl", "hookspec"}:
        assert f"@hookimpl\ndef {hook}(" in code


def test_the_shown_metadata_name_the_shown_module() -> None:
    for page in (DOCS / "plugins" / "index.md", ROOT / "README.md"):
        (block,) = [block for block in blocks(page) if block.language == "toml"]
        for name, module in tomllib.loads(block.code)["project"]["entry-points"]["alpha"].items():
            assert PLUGINS[name] == module


def test_the_readme_shows_the_same_activation() -> None:
    assert FILES["alpha_quick_gelu"] in {block.code for block in blocks(ROOT / "README.md")}


@pytest.mark.parametrize(("plugin", "kind"), KITS.items())
def test_each_example_passes_its_kit(installed: Path, plugin: str, kind: str) -> None:
    head, line = alpha(installed, "plugins", "check", plugin, OPENBLAS_NUM_THREADS="1").splitlines()
    assert head == f"plugin `{plugin}` (examples 1.0)"
    assert re.fullmatch(rf"  {kind} `{plugin}`: \d+ passed", line)


def test_one_run_uses_all_of_them(installed: Path) -> None:
    (installed / "text.txt").write_text(TEXT)
    flags = {
        "domain": "recipes",
        "data": "text.txt",
        "backend": "careful",
        "tokenizer": "bytes",
        "activation": "quick_gelu",
        "optimizer": "signum",
        "schedule": "inverse_sqrt",
        "sinks": "console,loss_file",
        "iters": "12",
        "block-size": "16",
        "n-embd": "16",
        "steps": "3",
    }
    printed = alpha(installed, "train", *(f"--{key}={value}" for key, value in flags.items()))
    (folder,) = (installed / "runs").iterdir()
    rows = [line.split(",") for line in (folder / "loss.csv").read_text().splitlines()]
    assert [int(step) for step, _ in rows] == list(range(1, 13))
    assert float(rows[-1][1]) < float(rows[0][1])
    assert "Take two " in printed


def test_the_commands_show_what_the_example_of_a_store_holds(installed: Path) -> None:
    (installed / "runs" / "shelf").mkdir(parents=True)
    config = {"model": {"n_layer": 1}, "train": {"iters": 9}}
    for name, loss in (("first", 3.0), ("second", 2.0)):
        metrics = [{"step": 8, "loss": loss + 1}, {"step": 9, "loss": loss}]
        content = json.dumps({"config": config, "metrics": metrics})
        (installed / "runs" / "shelf" / f"{name}.json").write_text(content)
    listed = json.loads(alpha(installed, "runs", "list", "--json"))
    assert [(run["runId"], run["status"], run["loss"]) for run in listed] == [
        ("first", "completed", 3.0),
        ("second", "completed", 2.0),
    ]
    assert re.search(r"n_layer +1", alpha(installed, "runs", "show", "first"))
    assert alpha(installed, "runs", "tail", "second", "--once", "--lines=1").startswith("step 9/9  loss 2.0000")


def test_the_command_and_the_choice_of_backend_work(installed: Path) -> None:
    sizes = ("--vocab-size=10", "--block-size=4", "--n-layer=1", "--n-embd=8", "--n-head=1")
    embeddings, block, final_norm, head = 10 * 8 + 4 * 8, 4 * 8 + 12 * 8 * 8, 2 * 8, 10 * 8
    assert alpha(installed, "count", *sizes) == f"{embeddings + block + final_norm + head}\n"
    shown = "from alpha_core import load_plugins; print(load_plugins().choose_backend().name)"
    environ = {**os.environ, "PYTHONPATH": str(installed), "CI": "true"}
    done = subprocess.run([sys.executable, "-c", shown], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "cpu_ref\n"
