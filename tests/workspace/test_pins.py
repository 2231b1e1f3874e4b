"""The exact versions in the root `pyproject.toml`."""

import re
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def required_by(requirement: Requirement) -> list[Requirement]:
    """What an installed distribution needs in this environment, with the extras that are asked of it."""
    extras = {"", *requirement.extras}
    needed = map(Requirement, requires(requirement.name) or [])
    return [need for need in needed if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras)]


def test_every_dependency_is_pinned_at_the_version_that_is_installed():
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = dict(pin.split("==") for pin in workspace["tool"]["uv"]["constraint-dependencies"])
    members = {folder.parent.name for folder in ROOT.glob("alpha-*/pyproject.toml")}
    waiting = [
        Requirement(text) for text in [*workspace["project"]["dependencies"], *workspace["dependency-groups"]["dev"]]
    ]
    seen, installed = set(), {}
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        waiting += required_by(requirement)
        if name not in members:
            installed[name] = version(name)
    assert {name: pins.get(name) for name in installed} == installed


def test_pins_are_sorted_one_on_a_line():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (block,) = re.findall(r"^constraint-dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    names = [line.strip().strip('",').split("==")[0] for line in block.splitlines()]
    assert names == sorted(set(names))
