"""A tutorial as its readers follow it: files to write, changes to make, commands to type.

What a block is stands in its first line: `title="path"` makes it the content of a file, or with the language `diff` a
change of one; `console` has commands after `$`, each with what it prints. In that, a line `...` stands for any lines,
`...` within a line for any characters, and the width of spaces does not count.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

__all__ = ["Block", "Follower", "blocks_of", "changed", "matches"]

_FENCE = re.compile(r"^```(?P<first>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FIRST_LINE = re.compile(r'(?P<language>\w+)(?: title="(?P<title>[^"]+)")?')
_INSTALL = "pip install -e ."


@attrs.frozen
class Block:
    """A block of code on a page."""

    language: str
    title: str | None
    text: str
    line: int


def blocks_of(page: str) -> list[Block]:
    """Returns the blocks of a page in order. Raises `ValueError` for one of which nobody knows what to do with it."""
    blocks = []
    for found in _FENCE.finditer(page):
        line = page.count("\n", 0, found.start()) + 1
        first = _FIRST_LINE.fullmatch(found["first"])
        if first is None or not (first["title"] or first["language"] == "console"):
            raise ValueError(f"line {line}: a block has a title or is `console`, not `{found['first']}`")
        blocks.append(Block(first["language"], first["title"], found["text"], line))
    if page.count("```") != 2 * len(blocks):
        raise ValueError("a fence does not begin its line, or is never closed")
    return blocks


def changed(text: str, diff: str) -> str:
    """Returns a text after a change; the lines that it keeps and removes must stand in the text, once."""
    lines = [line or " " for line in diff.splitlines()]  # editors take the space off an empty line
    if not all(line[0] in " +-" for line in lines):
        raise ValueError("a line of a diff begins with a space, `+` or `-`")
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    if not old or (count := f"\n{text}".count(f"\n{old}")) != 1:
        raise ValueError(f"the file has these lines {count if old else 'nowhere'} times, not once:\n{old}")
    return f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]


def matches(printed: str, shown: str) -> bool:
    """Tells whether what a command printed is what a page shows."""
    pattern = ""
    for line in shown.splitlines():
        words = re.escape(" ".join(line.split())).replace(re.escape("..."), ".*")
        pattern += r"(?:.*\n)*?" if line == "..." else words + r"\n"
    lines = "".join(" ".join(line.split()) + "\n" for line in printed.splitlines())
    return re.fullmatch(pattern, lines) is not None


class Follower:
    """Does in a folder what a page says."""

    def __init__(self, folder: Path, path: Sequence[Path] = ()) -> None:
        """`path` holds folders with modules that go before the installed ones."""
        self.folder = folder / "work"
        self.folder.mkdir()
        self._site = folder / "site"
        self._path = [*path, self._site]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALPHA_", "PYTEST_"))}
        self._environ = {
            **kept,
            "ALPHA_CACHE": str(folder / "cache"),
            "OPENBLAS_NUM_THREADS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }

    def follow(self, page: str) -> None:
        """Does it all. Raises `AssertionError`, naming the line of the page, where something else happens."""
        for block in blocks_of(page):
            if block.title is None:
                for command, shown in _commands(block.text):
                    self._run(command, shown, block.line)
                continue
            path = self.folder / block.title
            if block.language == "diff":
                path.write_text(changed(path.read_text(encoding="utf-8"), block.text), encoding="utf-8")
            else:
                assert not path.exists(), f"line {block.line}: `{block.title}` is there already"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")

    def _run(self, command: str, shown: str | None, line: int) -> None:
        if command == _INSTALL:
            self._install()
            return
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env={**self._environ, "PYTHONPATH": os.pathsep.join(map(str, self._path))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        where = f"line {line}: `{command}`"
        assert done.returncode == 0, f"{where} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
        if shown is not None:
            assert matches(done.stdout, shown), f"{where} printed:\n{done.stdout}\nnot:\n{shown}"

    def _install(self) -> None:
        """Makes the package in the folder an installed one, as pip would, but without asking the network for its build
        system."""
        content = tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))
        project: Mapping[str, object] = content["project"]
        assert content["build-system"]["build-backend"] == "uv_build"
        name, version = str(project["name"]).replace("-", "_"), project["version"]
        assert (self.folder / "src" / name / "__init__.py").exists(), f"`uv_build` expects the module src/{name}"
        info = self._site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n")
        groups = content["project"]["entry-points"]
        entries = [f"[{group}]\n{key} = {value}\n" for group, row in groups.items() for key, value in row.items()]
        (info / "entry_points.txt").write_text("".join(entries))
        self._path.append(self.folder / "src")


def _commands(text: str) -> Iterator[tuple[str, str | None]]:
    """Yields each command with what it prints; None where a page does not show it."""
    assert text.startswith("$ "), f"a block of commands begins with `$ `, not with:\n{text}"
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = piece.partition("\n")
        yield command, shown or None
