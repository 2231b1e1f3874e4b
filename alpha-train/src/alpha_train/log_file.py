"""Text files that grow by a line at a time."""

import os
from pathlib import Path
from typing import TextIO

__all__ = ["open_log"]


def open_log(path: Path) -> TextIO:
    """Opens a log to append to, on a line of its own even if a crash cut off the last one. Every line is flushed."""
    with open(path, "ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
    return open(path, "a", encoding="utf-8", newline="\n", buffering=1)  # line buffering: flushed at each line's end
