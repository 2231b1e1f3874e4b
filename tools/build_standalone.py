"""Builds `alpha` with chosen plugins as one executable file that runs on machines without Python.

    .venv/bin/python tools/build_standalone.py                           everything of this workspace, as dist/alpha
    .venv/bin/python tools/build_standalone.py alpha-tokenizers          only what these packages need
    .venv/bin/python tools/build_standalone.py --out my-alpha alpha-train alpha-tensor ./my_plugin-1.0-py3-none-any.whl

Packages are those of the workspace by name, or anything else that pip would install. The file is made by PyInstaller in
a clean environment; it starts in about 0.7 s, and runs on systems like the one that it was built on: the same kind of
processor, and a C library that is not older.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wheelhouse import ROOT, CheckError, Wheelhouse

_LONGEST_START = 5.0
"""Of what `alpha` as pip installs it takes to start on the same machine."""
_NOT_NEEDED = ("readline", "ssl", "tkinter")
"""Modules that something imports if they are there; each start would unpack them."""

# Runs in the environment that is packed: everything with an entry point of Alpha, whose modules no import names.
_FIND_PLUGINS = """
import json
from importlib.metadata import entry_points
found = {point.dist.name: point.module.partition(".")[0] for point in entry_points(group="alpha")}
print(json.dumps(found))
"""

_ENTRY = """
from alpha_cli.main import main

raise SystemExit(main())
"""


def build(packages: list[str], out: Path, house: Wheelhouse) -> Path:
    """Builds the executable `out`, the rest in the folder of the wheelhouse; returns the command that pip made."""
    house.build_workspace()
    commands = house.install("standalone", "pyinstaller", "alpha-cli", *packages)
    python = commands / "python"
    plugins = json.loads(house.run(python, "-c", _FIND_PLUGINS))
    entry = house.folder / "entry.py"
    entry.write_text(_ENTRY, encoding="utf-8")
    options = ["--onefile", "--name", out.name, "--log-level", "ERROR", "--noconfirm"]
    options += [f"--exclude-module={name}" for name in _NOT_NEEDED]
    for package, module in sorted(plugins.items()):
        options += ["--copy-metadata", package, "--collect-submodules", module]
    house.run(python, "-m", "PyInstaller", *options, entry)
    out.parent.mkdir(parents=True, exist_ok=True)
    (house.folder / "dist" / out.name).replace(out)
    return commands / "alpha"


def check(executable: Path, installed: Path, folder: Path) -> None:
    """Trains five steps and samples, in an environment without Python, and checks the time to start."""
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 200, encoding="utf-8")
    settings = "--data=text.txt --tokenizer=char --iters=5 --block=16 --layers=1 --dim=16 --heads=2 --eval-interval=5"
    printed = _without_python(folder, executable, "train", *settings.split())
    if "completed at step 5" not in printed:
        raise CheckError(f"five steps of training printed:\n{printed}")
    _without_python(folder, executable, "sample", "last", "--steps=20")
    seconds, computing = _start(executable, folder)
    _, usual = _start(installed, folder)
    print(
        f"trains without Python; starts in {seconds:.2f} s, of which {computing:.2f} s computing, as installed"
        f" {usual:.2f} s (best of 10)"
    )
    if computing > _LONGEST_START * usual:
        raise CheckError(f"it takes more than {_LONGEST_START:g} times as long to start as the installed command")


def _start(command: Path, folder: Path) -> tuple[float, float]:
    """Returns the least seconds that a start took, and the least that it computed: a busy machine makes only the first
    longer."""
    times, cpu_times = [], []
    for _ in range(10):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        _without_python(folder, command, "--version")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(time.perf_counter() - start)
        cpu_times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times), min(cpu_times)


def _without_python(folder: Path, *command: str | Path) -> str:
    """Runs a command with an empty PATH and no variable but HOME, and returns what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={"HOME": str(folder), "PATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CheckError(f"`{' '.join(map(str, command[:2]))}` exited with {done.returncode}:\n{done.stdout}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Builds `alpha` with chosen plugins as one executable file that runs on machines without Python."
    )
    parser.add_argument(
        "packages",
        nargs="*",
        default=["alpha-bench", "alpha-tensor", "alpha-tokenizers", "alpha-train"],
        help="packages of this workspace, or anything that pip installs (default: all that training needs)",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "dist" / "alpha", help="the file to make (default: dist/alpha)"
    )
    parser.add_argument(
        "--check", action="store_true", help="train five steps with it, in an environment without Python"
    )
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Beside the result, so that the last step is a rename within one file system.
        with tempfile.TemporaryDirectory(prefix=".standalone-", dir=out.parent) as folder:
            installed = build(arguments.packages, out, Wheelhouse(Path(folder)))
            print(f"{out}: {out.stat().st_size / 1e6:.0f} MB")
            if arguments.check:
                with tempfile.TemporaryDirectory() as empty:
                    check(out, installed, Path(empty))
    except CheckError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
