"""Reading the project's Markdown: pages, code blocks, tables, headings, links."""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("alpha-*/README.md"), *ROOT.glob("alpha-*/CHANGELOG.md")]
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@attrs.frozen
class Block:
    """A fenced code block. `python` blocks are complete and are run; a fragment is marked `py`."""

    page: Path
    line: int
    """Of its first line in the page, from 1 on."""
    language: str
    code: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    """Yields the code blocks of a page."""
    text = text_of(page)
    for match in _BLOCK.finditer(text):
        yield Block(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])


def prose(page: Path) -> str:
    """Returns a page without its code blocks."""
    return _BLOCK.sub("", text_of(page))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """Returns what stands below a heading, up to the next one of any level."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", prose(page), re.MULTILINE | re.DOTALL)
    assert match is not None, f"{name_of(page)} has no heading `{heading}`"
    return match[1]


def first_cells(text: str) -> set[str]:
    """Returns every name in backticks in the first column of the tables in `text`."""
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return {name for cell in rows for name in re.findall(r"`([^`]+)`", cell)}
