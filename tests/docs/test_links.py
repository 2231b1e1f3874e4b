"""Links within the documentation lead somewhere, and every page can be reached."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links, name_of, prose

SOURCES = [ROOT, *ROOT.glob("alpha-*/src"), *ROOT.glob("alpha-*/src/alpha_*")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_internal_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https:", "http:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_of_source_files_are_right(page: Path) -> None:
    for path in re.findall(r"`([\w./-]+/[\w-]+\.(?:py|sh|toml)|(?:tests|alpha_\w+|tools|docs)/[\w/]*)`", prose(page)):
        assert any((root / path).exists() for root in SOURCES), path


def test_every_page_is_listed_in_the_index() -> None:
    listed = {(DOCS / link).resolve() for link in links(DOCS / "index.md")}
    assert set(DOCS.rglob("*.md")) - {DOCS / "index.md"} == listed


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    named = re.findall(r"^ +- (?:[\w ]+: )?([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages == {name for name in named if not name.startswith("project/")}


def test_decisions_are_numbered_without_gaps() -> None:
    pages = sorted((DOCS / "decisions").iterdir())
    for number, page in enumerate(pages, 1):
        assert page.name.startswith(f"{number:04}-")
        assert prose(page).startswith(f"# {number}. ")
