"""Builds the documentation as a site, in a clean environment with the dependency group `docs`.

    .venv/bin/python tools/build_site.py                 into the folder `site`
    .venv/bin/python tools/build_site.py --check         only to see that it can be built, where this Python can

Warnings are errors: a link that leads nowhere, a page that the navigation lacks. All that is installed for it must be
among the exact versions in the root `pyproject.toml`.
"""

import json
import platform
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from wheelhouse import ROOT, CheckError, Wheelhouse

_SITE = ROOT / "site"

# Runs in the environment that builds: what is installed there.
_INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps({found.name.lower().replace("_", "-"): found.version for found in distributions()}))
"""


class UnsupportedError(CheckError):
    """This Python cannot build the site."""


def build(folder: Path) -> Path:
    """Builds the site below `folder` and returns its place. Raises `CheckError` for any warning."""
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = set(workspace["tool"]["uv"]["constraint-dependencies"])
    house = Wheelhouse(folder)
    commands = house.install("site", *workspace["dependency-groups"]["docs"])
    if not (commands / "mkdocs").exists():  # the requirements say for which versions of Python they are
        raise UnsupportedError(f"what builds the site is for newer versions of Python than {platform.python_version()}")
    installed = json.loads(house.run(commands / "python", "-c", _INSTALLED))
    missing = sorted({f"{name}=={version}" for name, version in installed.items()} - pins)
    if missing:
        raise CheckError(f"not among the exact versions in `pyproject.toml`: {', '.join(missing)}")
    site = folder / "site"
    house.run(commands / "mkdocs", "build", "--strict", "--site-dir", site, where=ROOT)
    return site


def main(arguments: Sequence[str]) -> int:
    checking = arguments == ["--check"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            site = build(Path(folder))
        except UnsupportedError as error:
            print(f"not built: {error}", file=sys.stderr)
            return 0 if checking else 1
        except CheckError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        pages = len(list(site.rglob("*.html")))
        if not checking:
            shutil.rmtree(_SITE, ignore_errors=True)
            shutil.move(site, _SITE)
            print(f"{pages} pages: {_SITE / 'index.html'}")
        else:
            print(f"{pages} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
