"""Files that wait to be uploaded, held so that nobody can take them away meanwhile."""

import os
import re
import shutil
import threading
from pathlib import Path

import attrs

__all__ = ["WaitingFiles"]

_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})\.alph")
_SMALL = ("config.json", "tokenizer.json")


@attrs.frozen
class WaitingFiles:
    """A folder of hard links to files of the run folder: they stay when old checkpoints are removed there.

    What is in the folder is what waits, so it needs no further record to survive a crash. Where the file system has no
    hard links, files are copied.
    """

    folder: Path
    most_checkpoints: int = 4
    _mutex: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def add(self, path: Path) -> list[str]:
        """Holds a file, in place of an older one of its name; returns the checkpoints that make way for it."""
        target, part = self.folder / path.name, self.folder / f"{path.name}.part"
        part.unlink(missing_ok=True)
        try:
            os.link(path, part)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(path, part)
        with self._mutex:
            part.replace(target)
        part.unlink(missing_ok=True)  # if both were the same file already, the rename did nothing
        checkpoints = [waiting for waiting in self.all() if _CHECKPOINT.fullmatch(waiting.name)]
        given_up = checkpoints[: -self.most_checkpoints]
        for checkpoint in given_up:
            checkpoint.unlink(missing_ok=True)
        return [checkpoint.name for checkpoint in given_up]

    def remove(self, path: Path, inode: int) -> None:
        """Takes out a file that was uploaded, unless a newer one has taken its place meanwhile."""
        with self._mutex:
            if path.exists() and path.stat().st_ino == inode:
                path.unlink()

    def all(self) -> list[Path]:
        """Returns what waits: small files first, then checkpoints by step."""
        small = [path for name in _SMALL if (path := self.folder / name).exists()]
        steps = {int(match[1]): path for path in self.folder.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))}
        return [*small, *(steps[step] for step in sorted(steps))]
