"""Wheels of this workspace in a temporary folder, and clean environments to try them in."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from uv import find_uv_bin

__all__ = ["ROOT", "CheckError", "Wheelhouse"]

ROOT = Path(__file__).resolve().parent.parent


class CheckError(Exception):
    """A package is not what it should be; the message says which and why."""


class Wheelhouse:
    """Builds into and installs from one folder. Nothing that runs in it finds the checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        workspace = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        self._pins: list[str] = workspace["tool"]["uv"]["constraint-dependencies"]

    def build_workspace(self) -> list[Path]:
        """Builds every package of the workspace and returns the wheels."""
        self._uv("build", "--all-packages", "--wheel", "--out-dir", self.wheels)
        return sorted(self.wheels.glob("*.whl"))

    def build(self, package: Path) -> None:
        """Builds one package that is no member of the workspace."""
        self._uv("build", "--wheel", "--out-dir", self.wheels, package)

    def install(self, name: str, *requirements: str) -> Path:
        """Makes an environment with these requirements and nothing else, and returns its folder of commands.

        A package that was built here is never taken from elsewhere: an index may have another project's of that name.
        """
        venv, constraints = self.folder / "environments" / name, self.folder / "constraints.txt"
        own = [
            f"{wheel.name.split('-')[0].replace('_', '-')} @ {wheel.as_uri()}" for wheel in self.wheels.glob("*.whl")
        ]
        constraints.write_text("\n".join([*self._pins, *own, ""]), encoding="utf-8")
        self._uv("venv", "--python", sys.executable, venv)
        self._uv("pip", "install", "--python", venv / "bin" / "python", "--constraints", constraints, *requirements)
        return venv / "bin"

    def run(self, *command: str | Path, where: Path | None = None, expect: int = 0) -> str:
        """Runs a command, in the folder unless told otherwise, and returns all that it printed."""
        environ = {
            key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_", "PYTHON", "VIRTUAL_ENV"))
        }
        done = subprocess.run(
            command,
            cwd=where or self.folder,
            env={**environ, "ALPHA_CACHE": str(self.folder / "cache")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != expect:
            words = " ".join(map(str, command[:1] if len(command) > 3 else command))
            raise CheckError(f"`{words}` exited with {done.returncode}, not {expect}:\n{done.stdout}")
        return done.stdout

    def _uv(self, *arguments: str | Path) -> None:
        self.run(find_uv_bin(), *arguments, "--quiet", where=ROOT)
