"""Checks that every package can be installed alone: builds all wheels, then tries each in a clean environment.

For each package: its metadata, entry point and `py.typed`; its wheel installed with nothing but its declared
dependencies; every module of it imported. A module may fail to import for want of a requirement of one of the package's
extras; it is imported again with the extras installed. Last, `alpha-cli` and `alpha-tokenizers` together, which must be
a working tokenizer command that names what is missing for the rest.

Run it with the Python of the development environment: `.venv/bin/python tools/check_wheels.py`.
"""

import configparser
import email
import json
import re
import sys
import tempfile
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

from wheelhouse import ROOT, CheckError, Wheelhouse

# Runs in a clean environment: imports each module of a package and prints what failed, as JSON. Its working
# directory is not the checkout, so that nothing is found there.
_IMPORT_ALL = """
import importlib, json, pkgutil, sys
name = sys.argv[1]
package = importlib.import_module(name)
modules = [name, *(m.name for m in pkgutil.walk_packages(package.__path__, name + "."))]
failures = {}
for module in modules:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        failures[module] = {"missing": error.name, "error": repr(error)}
    except BaseException as error:
        failures[module] = {"missing": None, "error": repr(error)}
print(json.dumps({"count": len(modules), "failures": failures}))
"""


def import_all(wheelhouse: Wheelhouse, commands: Path, module: str) -> dict[str, Any]:
    """Imports every module of a package in the environment; returns their `count` and the `failures`."""
    answer: dict[str, Any] = json.loads(wheelhouse.run(commands / "python", "-W", "error", "-c", _IMPORT_ALL, module))
    return answer


def check_contents(wheel: Path) -> Message:
    """Checks what the wheel says of itself, and returns its metadata."""
    name, version = wheel.name.split("-")[:2]
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        info = f"{name}-{version}.dist-info"
        metadata = email.message_from_string(archive.read(f"{info}/METADATA").decode())
        entry_points = configparser.ConfigParser()
        if f"{info}/entry_points.txt" in files:
            entry_points.read_string(archive.read(f"{info}/entry_points.txt").decode())
    problems = []
    if f"{name}/py.typed" not in files:
        problems.append("it has no `py.typed`")
    foreign = sorted({file.split("/")[0] for file in files} - {name, info})
    if foreign:
        problems.append(f"it installs `{'`, `'.join(foreign)}` beside its package")
    plugins = dict(entry_points["alpha"]) if "alpha" in entry_points else {}
    if plugins != {name.removeprefix("alpha_"): f"{name}.plugin"}:
        problems.append(f"its entry points in group `alpha` are {plugins}")
    expected = {"Name": name.replace("_", "-"), "License-Expression": "MIT", "Requires-Python": ">=3.11"}
    for field, value in expected.items():
        if metadata[field] != value:
            problems.append(f"its metadata say `{field}: {metadata[field]}`, not `{value}`")
    if not metadata["Summary"] or len(str(metadata.get_payload())) < 40:
        problems.append("its metadata lack the summary or the README")
    folder = ROOT / name.replace("_", "-")
    if f"## {version}" not in (folder / "CHANGELOG.md").read_text(encoding="utf-8"):
        problems.append(f"its CHANGELOG.md has no heading `## {version}`")
    if problems:
        raise CheckError(f"{wheel.name}: " + "; ".join(problems))
    return metadata


def check_imports(wheelhouse: Wheelhouse, name: str, metadata: Message) -> str:
    """Imports the package alone, then with its extras; returns a line about it."""
    module = name.replace("-", "_")
    alone = import_all(wheelhouse, wheelhouse.install(name, name), module)
    extras = metadata.get_all("Provides-Extra") or []
    optional = {
        re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("-", "_")
        for requirement in metadata.get_all("Requires-Dist") or []
        if "extra ==" in requirement
    }
    for failed, failure in alone["failures"].items():
        missing = str(failure["missing"]).split(".")[0].lower()
        if not any(f"{name}_".startswith(f"{missing}_") for name in optional):  # mlflow is in mlflow-skinny
            raise CheckError(f"{name} alone: `import {failed}` fails: {failure['error']}")
    if extras:
        complete = f"{name}[{','.join(extras)}]"
        together = import_all(wheelhouse, wheelhouse.install(f"{name}-extras", complete), module)
        for failed, failure in together["failures"].items():
            raise CheckError(f"{complete}: `import {failed}` fails: {failure['error']}")
    waiting = f", {len(alone['failures'])} of them only with [{','.join(extras)}]" if alone["failures"] else ""
    return f"{name}: {alone['count']} modules{waiting}"


def check_tokenizer_command(wheelhouse: Wheelhouse) -> str:
    """Checks that two packages make a tokenizer tool, and that it says what a training command lacks."""
    commands = wheelhouse.install("tokenizer-tool", "alpha-cli", "alpha-tokenizers")
    tokenizer: list[str | Path] = [commands / "alpha", "tokenizer"]
    sentence = "the cat sat on the mat"
    (wheelhouse.folder / "text.txt").write_text(f"{sentence}\n" * 9, encoding="utf-8")
    shown = wheelhouse.run(*tokenizer, "--help")
    if "encode" not in shown:
        raise CheckError(f"`alpha tokenizer --help` does not list `encode`:\n{shown}")
    wheelhouse.run(*tokenizer, "build", "text.txt", "--tokenizer=char")
    ids = wheelhouse.run(*tokenizer, "encode", "tokenizer.json", sentence).split()
    decoded = wheelhouse.run(*tokenizer, "decode", "tokenizer.json", *ids).rstrip("\n")
    if decoded != sentence:
        raise CheckError(f"`alpha tokenizer decode` makes `{decoded}` of the ids of `{sentence}`")
    refused = wheelhouse.run(commands / "alpha", "train", expect=3)
    if "pip install alpha-train" not in refused:
        raise CheckError(f"`alpha train` without alpha-train does not say what to install:\n{refused}")
    return "alpha-cli + alpha-tokenizers: `alpha tokenizer` works, `alpha train` says what to install"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="alpha-wheels-") as folder:
        wheelhouse = Wheelhouse(Path(folder))
        try:
            wheels = wheelhouse.build_workspace()
            expected = sorted(path.parent.name for path in ROOT.glob("alpha-*/pyproject.toml"))
            metadata = {str(m["Name"]): m for m in map(check_contents, wheels)}
            if sorted(metadata) != expected:
                raise CheckError(f"built {sorted(metadata)}, expected {expected}")
            for name in expected:
                print(check_imports(wheelhouse, name, metadata[name]), flush=True)
            print(check_tokenizer_command(wheelhouse))
        except CheckError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
