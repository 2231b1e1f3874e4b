"""The tutorials work: each page is followed word for word, in an empty folder."""

import shutil
import sys
from pathlib import Path

import pytest
from tests.tutorials.page import Follower, blocks_of, changed, matches

from alpha_helios.vulkan.loader import reason_unavailable

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "tutorials"


@pytest.mark.parametrize("name", [*sorted(page.stem for page in PAGES.glob("write-*.md")), "add-a-cpu-kernel"])
def test_a_plugin_that_follows_the_page_works(name: str, tmp_path: Path) -> None:
    Follower(tmp_path).follow((PAGES / f"{name}.md").read_text(encoding="utf-8"))


def test_a_kernel_that_follows_the_page_works(tmp_path: Path) -> None:
    reason = reason_unavailable()
    if reason is not None:
        pytest.skip(f"no Vulkan device: {reason}")
    Follower(tmp_path).follow((PAGES / "add-a-kernel.md").read_text(encoding="utf-8"))


def test_every_page_is_listed() -> None:
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    for page in PAGES.glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index


def test_an_op_that_follows_the_page_works(tmp_path: Path) -> None:
    """In a copy of what the page touches, whose modules go before the installed ones."""
    packages = ("alpha-core", "alpha-autograd", "alpha-tensor", "alpha-testkit")
    work = tmp_path / "work"
    follower = Follower(tmp_path, path=[work / package / "src" for package in packages])
    for folder in (
        *(f"{package}/src" for package in packages),
        "tests/conformance",
        "tests/cpu",
        "tests/testkit",
        "docs",
        "tools",
    ):
        shutil.copytree(ROOT / folder, work / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / file, work / file)
    (work / ".venv").symlink_to(sys.prefix)
    follower.follow((PAGES / "add-an-op.md").read_text(encoding="utf-8"))


def test_what_a_command_prints_is_compared_as_the_page_shows_it() -> None:
    assert matches("a  b\nany\nlines\nlast 12\n", "a b\n...\nlast ...\n")
    assert matches("a\n", "...\na\n...\n")
    assert not matches("a\nb\n", "a\n")
    assert not matches("a+\n", "aa\n")
    assert not matches("a\n", "a\nb\n")


def test_a_diff_changes_lines_that_stand_once() -> None:
    text = "one\ntwo\n\nthree\none\n"
    assert changed(text, " two\n\n-three\n+3\n") == "one\ntwo\n\n3\none\n"
    assert changed(text, "+zero\n one\n two\n") == "zero\n" + text
    for wrong in (" one\n", " four\n", "+new\n", "two\n"):
        with pytest.raises(ValueError, match="line"):
            changed(text, wrong)


def test_a_block_that_nobody_follows_is_refused() -> None:
    assert [block.title for block in blocks_of('```python title="a.py"\n1\n```\n```console\n$ true\n```\n')] == [
        "a.py",
        None,
    ]
    for wrong in ("```python\n1\n```\n", "  ```console\n  $ true\n  ```\n", "```console\n$ true\n"):
        with pytest.raises(ValueError, match=r"block|fence"):
            blocks_of(wrong)
