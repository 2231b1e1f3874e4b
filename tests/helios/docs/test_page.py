"""What the page about Helios says of variables, paths and knobs is what the code has."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests.docs.pages import DOCS, ROOT, first_cells, section, text_of

from alpha_helios.fast_paths import FAST_PATHS
from alpha_helios.planner import planner

PAGE = DOCS / "helios.md"
SOURCES = sorted((ROOT / "alpha-helios" / "src").rglob("*.py"))
VARIABLE = re.compile(r"ALPHA_(?:HELIOS_[A-Z_]+|FAIL_ON_SMOKE_TEST)")


def variables_of_the_code() -> set[str]:
    return {name for source in SOURCES for name in VARIABLE.findall(source.read_text(encoding="utf-8"))}


def test_every_variable_and_no_other() -> None:
    used = variables_of_the_code()
    assert {"ALPHA_HELIOS_DEVICE", "ALPHA_HELIOS_DISABLE", "ALPHA_FAIL_ON_SMOKE_TEST"} <= used
    assert first_cells(section(PAGE, "Environment variables")) == used
    assert set(VARIABLE.findall(text_of(PAGE))) == used


def test_every_fast_path_and_no_other() -> None:
    assert first_cells(section(PAGE, "Fast paths and the self-test")) == {path.name for path in FAST_PATHS}


def test_every_knob() -> None:
    text = section(PAGE, "Finding out where time goes")
    assert all(f"`{knob.name}`" in text for knob in planner(None).knobs)


def test_the_readme_of_the_package_names_no_other_variable() -> None:
    text = text_of(ROOT / "alpha-helios" / "README.md")
    assert set(VARIABLE.findall(text)) <= set(VARIABLE.findall(text_of(PAGE)))


def test_the_picture_is_a_picture() -> None:
    picture: Path = DOCS / "images" / "recorded-step.svg"
    root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    assert root.tag.endswith("svg")
    assert len(list(root)) > 100
    assert "recorded-step.svg" in text_of(PAGE)
