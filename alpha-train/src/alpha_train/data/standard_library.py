"""The standard library of the running interpreter as training text: real code on every machine, without a download."""

import os
import sysconfig
import tokenize
from pathlib import Path

__all__ = ["standard_library_files"]

_OTHER_FOLDERS = frozenset(
    {
        "__phello__",  # a sample of frozen modules
        "__pycache__",
        "dist-packages",
        "encodings",  # nearly all of it tables, made by a program
        "idle_test",
        "pydoc_data",  # the language reference in one dictionary, made by a program
        "site-packages",
        "test",
        "tests",
    }
)
_OTHER_FILES = frozenset({"sitecustomize.py", "usercustomize.py"})  # of this machine, not of Python
_MADE_BY_THE_BUILD = ("_sysconfigdata", "config-")  # with the paths and flags of the machine that built it


def standard_library_files() -> list[tuple[Path, str]]:
    """Returns the Python files of the standard library with their encodings, ordered by path; about 9 MB.

    Left out are installed packages, tests, files that a program made, and files of this machine alone. The list is
    empty for an interpreter that comes without sources.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if _is_wanted(name)]
        found += [Path(folder, name) for name in names if name.endswith(".py") and _is_wanted(name)]
    found.sort(key=lambda path: path.relative_to(root).as_posix())
    return [(path, _encoding_of(path)) for path in found if path.is_file()]


def _is_wanted(name: str) -> bool:
    return name not in _OTHER_FOLDERS | _OTHER_FILES and not name.startswith(_MADE_BY_THE_BUILD)


def _encoding_of(path: Path) -> str:
    """Returns the encoding that a source file declares (PEP 263)."""
    try:
        with open(path, "rb") as file:
            return tokenize.detect_encoding(file.readline)[0]
    except (OSError, SyntaxError):
        return "utf-8"  # whoever reads the file meets the problem again, and names it
