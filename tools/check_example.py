"""Checks that a stranger's plugin works: `examples/alpha-example` as a wheel, in a clean environment.

Beside it stand the wheels of this workspace, and two plugins that are broken on purpose. The example passes its own
tests, which are the conformance kits; `alpha plugins check` passes; a model trains with all of its parts, selected by
`rhymes.toml` alone, and writes samples. The broken plugins are reported with the reason, and harm nothing.

Run it with the Python of the development environment: `.venv/bin/python tools/check_example.py`.
"""

import json
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from wheelhouse import ROOT, CheckError, Wheelhouse

_EXAMPLE = ROOT / "examples" / "alpha-example"

# The plugins that are broken: source of the module, and how `alpha plugins list` must explain them.
_BROKEN = {
    "crash": (
        'raise RuntimeError("this plugin always fails")\n',
        "RuntimeError: this plugin always fails",
    ),
    "misspelt": (
        "from alpha_core.hookspecs import hookimpl\n\n\n@hookimpl\ndef register_tokenizer():\n    return []\n",
        "unknown hook `register_tokenizer`; did you mean `register_tokenizers`?",
    ),
}
_PYPROJECT = """
[project]
name = "alpha-{name}"
version = "1.0"
dependencies = ["alpha-core"]

[project.entry-points.alpha]
{name} = "alpha_{name}"

[build-system]
requires = ["uv_build>=0.9,<0.14"]
build-backend = "uv_build"
"""


def build_broken_plugin(wheelhouse: Wheelhouse, name: str, source: str) -> None:
    """Builds a wheel whose only module is its plugin."""
    module = wheelhouse.folder / "sources" / name / "src" / f"alpha_{name}" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.write_text(source, encoding="utf-8")
    package = module.parents[2]
    (package / "pyproject.toml").write_text(_PYPROJECT.format(name=name), encoding="utf-8")
    wheelhouse.build(package)


def check_listing(wheelhouse: Wheelhouse, commands: Path) -> str:
    """Checks that the broken plugins are listed with the reason, and all others as sound."""
    plugins: list[dict[str, Any]] = json.loads(wheelhouse.run(commands / "alpha", "plugins", "list", "--json"))
    states = {plugin["plugin"]: (plugin["state"], plugin["reason"]) for plugin in plugins}
    for name, (_, reason) in _BROKEN.items():
        if states.pop(name, None) != ("broken", reason):
            raise CheckError(f"`alpha plugins list` does not say that plugin `{name}` is broken: {reason}\n{plugins}")
        refused = wheelhouse.run(commands / "alpha", "plugins", "check", name, expect=3)
        if reason not in refused:
            raise CheckError(f"`alpha plugins check {name}` does not say why it is broken:\n{refused}")
    if "example" not in states or any(state != ("ok", None) for state in states.values()):
        raise CheckError(f"beside the broken plugins, not all others are sound: {states}")
    return f"plugins {', '.join(_BROKEN)}: reported as broken; {len(states)} others are sound"


def check_training(wheelhouse: Wheelhouse, commands: Path) -> str:
    """Trains and samples with all parts of the example, and looks into the run folder for traces of each."""
    selected = tomllib.loads((_EXAMPLE / "rhymes.toml").read_text(encoding="utf-8"))
    wheelhouse.run(
        commands / "alpha", "train", f"--config={_EXAMPLE / 'rhymes.toml'}", "--iters=30", "--eval-interval=15"
    )
    (run,) = (wheelhouse.folder / "runs").iterdir()
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    for section in ("model", "train"):
        for key, value in selected[section].items():
            if config[section][key] != value:
                raise CheckError(f"`{key}` of the run is {config[section][key]!r}, not {value!r} of `rhymes.toml`")
    artifacts = json.loads((run / "tokenizer.json").read_text(encoding="utf-8"))
    report = (run / "report.md").read_text(encoding="utf-8")
    if artifacts["type"] != "bytes" or "parameters on plain;" not in report or "Completed after step 30." not in report:
        raise CheckError(f"the run does not show the parts of the example: {artifacts}\n{report}")
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    if not steps[-1]["loss"] < steps[0]["loss"] - 0.5:
        raise CheckError(f"the loss does not fall: {steps[0]['loss']} at first, {steps[-1]['loss']} at last")
    sample = wheelhouse.run(commands / "alpha", "sample", "last", "--backend=plain", "--prompt=Jack ", "--steps=20")
    if "\nJack " not in sample:  # what comes before it are the warnings about the broken plugins
        raise CheckError(f"`alpha sample` does not continue its prompt:\n{sample}")
    return f"training with all of its parts: loss {steps[0]['loss']:.2f} to {steps[-1]['loss']:.2f} in 30 steps"


def check_conformance(wheelhouse: Wheelhouse, commands: Path) -> str:
    """Runs the example's own tests, out of reach of its source, and the kits on what is installed."""
    tests = wheelhouse.folder / "example"
    tests.mkdir()
    shutil.copy(_EXAMPLE / "pyproject.toml", tests)
    shutil.copytree(_EXAMPLE / "tests", tests / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    printed = wheelhouse.run(commands / "python", "-m", "pytest", "-q", where=tests)
    checked = wheelhouse.run(commands / "alpha", "plugins", "check", "example")
    return "\n".join([f"its tests: {printed.strip().splitlines()[-1]}", checked.strip()])


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="alpha-example-") as folder:
        wheelhouse = Wheelhouse(Path(folder))
        try:
            wheelhouse.build_workspace()
            wheelhouse.build(_EXAMPLE)
            for name, (source, _) in _BROKEN.items():
                build_broken_plugin(wheelhouse, name, source)
            broken = [f"alpha-{name}" for name in _BROKEN]
            commands = wheelhouse.install("stranger", "alpha-example[test]", "alpha-train", *broken)
            for check in (check_listing, check_training, check_conformance):
                print(check(wheelhouse, commands), flush=True)
        except CheckError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
