"""Makes .venv with pip, for machines without uv: what `uv sync` would install, at the same exact versions.

`environment.sh` calls this with the first suitable Python and a level, `run` or `dev`. pip is asked as it is configured
on the machine (its files and `PIP_*` variables), so mirrors and local wheels are used.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UNFINISHED = VENV / "unfinished"
"""Stands there while packages are being installed; an environment that an interruption left half made starts anew."""


def fail(message: str) -> int:
    print(f"alpha: {message}", file=sys.stderr)
    return 1


def attempt(*command: str | Path) -> str | None:
    """Runs a command; returns None if it succeeds, else the last line that it printed."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        return str(error)
    lines = done.stdout.strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else f"exit status {done.returncode}")


def make_venv() -> str | None:
    """Makes an environment without pip, unless a whole one is there; returns None, or the reason why it cannot."""
    if UNFINISHED.exists() or attempt(PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))") is not None:
        shutil.rmtree(VENV, ignore_errors=True)
        reason = attempt(sys.executable, "-m", "venv", "--without-pip", VENV)
        if reason is not None and attempt(sys.executable, "-m", "virtualenv", VENV) is not None:
            return reason
    return None


def find_pip() -> list[str | Path] | None:
    """Returns a pip command that installs into the environment, or None.

    Debian and its relatives ship Python without `ensurepip`, which puts pip inside; a pip from outside that can install
    elsewhere (22.3 or newer), or `virtualenv`, which brings a pip, does as well.
    """
    inside: list[str | Path] = [PYTHON, "-m", "pip"]
    outside: list[str | Path] = [sys.executable, "-m", "pip", "--python", PYTHON]
    if attempt(*inside, "--version") is None or attempt(PYTHON, "-m", "ensurepip") is None:
        return inside
    if attempt(*outside, "--version") is None:
        return outside
    return inside if attempt(sys.executable, "-m", "virtualenv", VENV) is None else None


def main(level: str) -> int:
    workspace: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = list(workspace["project"]["dependencies"])
    if level == "dev":
        requirements += workspace["dependency-groups"]["dev"]
    build_tools = workspace["tool"]["uv"]["build-constraint-dependencies"]
    members = {folder.parent.name for folder in ROOT.glob("alpha-*/pyproject.toml")}
    targets: list[str | Path] = []
    for requirement in requirements:
        name, extras = re.findall(r"^([A-Za-z0-9._-]+)(\[[^]]*\])?", requirement)[0]
        targets += ["--editable", f"{ROOT / name}{extras}"] if name in members else [requirement]

    reason = make_venv()
    if reason is not None:
        return fail(f"{sys.executable} cannot make an environment ({reason})")
    UNFINISHED.touch()
    pip = find_pip()
    if pip is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return fail(
            f"{sys.executable} has no pip to install with; install its `venv` module "
            f"(Debian, Ubuntu: `apt install python{version}-venv`), or uv"
        )
    pins = VENV / "constraints.txt"
    pins.write_text("\n".join([*workspace["tool"]["uv"]["constraint-dependencies"], ""]), encoding="utf-8")
    # The build tools are installed here once, where isolation would fetch them for each package; they look for
    # their own command on the PATH.
    environ = {**os.environ, "PATH": os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", "")])}
    install = [*pip, "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-user"]
    for step in ([*build_tools], ["--no-build-isolation", "--constraint", pins, *targets]):
        status = subprocess.run([*install, *step], cwd=ROOT, env=environ, check=False).returncode
        if status != 0:
            return fail(f"pip failed, see above (exit status {status}); run this again when the cause is mended")
    UNFINISHED.unlink()
    return 0


if __name__ == "__main__":
    with Path(__file__).open(encoding="utf-8") as this_file:
        fcntl.flock(this_file, fcntl.LOCK_EX)  # one at a time
        try:
            sys.exit(main(sys.argv[1]))
        except KeyboardInterrupt:
            sys.exit(130)
