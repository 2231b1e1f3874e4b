"""What mkdocs calls while it builds the site: pages from outside of `docs/`, and links that lead out of it.

The READMEs of the project and its packages become pages below `project/`. In all pages a link is the path of a file, as
viewers of the repository want it; here those to pages lead to the page, and of those to other files, which the site has
not, the text remains.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\|.*$", re.MULTILINE)
_CODE = re.compile(r"`[^`]+`")
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def pages() -> dict[str, str]:
    """Returns the place in the site of each page from outside of `docs/`, by its path in the repository."""
    readmes = [*ROOT.glob("alpha-*/README.md"), *ROOT.glob("examples/*/README.md")]
    places = {path.relative_to(ROOT).as_posix(): f"project/{path.parent.name}.md" for path in readmes}
    return {"README.md": "project/readme.md", "CONTRIBUTING.md": "project/contributing.md", **places}


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Adds the pages from outside."""
    for source, place in pages().items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Makes every link one within the site, or none, and takes the escapes of `|` out of code in tables.

    Viewers of the repository need those escapes; here they would be shown.
    """
    here = page.file.src_uri
    sources = {place: source for source, place in pages().items()}
    folder = posixpath.dirname(sources.get(here, f"docs/{here}"))

    def link(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        path, hash, anchor = target.partition("#")
        if not path or "://" in path:
            return match[0]
        file = posixpath.normpath(posixpath.join(folder, path))
        place = pages().get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else None)
        if place is None:
            return text
        return f"{mark}[{text}]({posixpath.relpath(place, posixpath.dirname(here) or '.')}{hash}{anchor})"

    def code(match: re.Match[str]) -> str:
        return match[0].replace("\\|", "|")

    def row(match: re.Match[str]) -> str:
        return _CODE.sub(code, match[0])

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _ROW.sub(row, _LINK.sub(link, part)) for part in parts)
