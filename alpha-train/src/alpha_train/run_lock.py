"""The lock of a run folder: one trainer at a time."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from alpha_core.errors import AlphaError, UsageError
from alpha_train.json_file import read_json, write_json

__all__ = ["is_training", "run_lock", "was_interrupted"]

_LOCK, _TRAINER = ".lock", "trainer.json"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keeps other trainers out of a run folder. Raises `UsageError` if one is in, saying which.

    The lock is the operating system's, on the file `.lock`, so it ends with the process however that ends. While it is
    held `trainer.json` says by whom: `pid`, `host`, `since`. After a crash that file stays and means nothing.
    """
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"run `{folder.resolve().name}` is being trained by {_holder(folder)}",
            hint="stop that one first (it writes a checkpoint when it ends), or start another run",
        ) from error
    except OSError as error:
        raise UsageError(f"the run folder `{folder}` cannot be locked: {error.strerror}") from error
    try:
        holder = {
            "pid": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_json(folder / _TRAINER, holder, UsageError)
        yield
    finally:
        (folder / _TRAINER).unlink(missing_ok=True)
        lock.release()


def is_training(folder: Path) -> bool:
    """Tells whether a trainer is in a run folder now."""
    if not (folder / _TRAINER).exists():
        return False
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written: nobody trains there either
        return False
    lock.release()
    return False


def was_interrupted(folder: Path) -> bool:
    """Tells whether the last trainer of a run folder ended without a chance to clean up (killed, or no more power).

    That is what is left of it when `is_training` is false.
    """
    return (folder / _TRAINER).exists()


def _holder(folder: Path) -> str:
    try:
        holder = read_json(folder / _TRAINER, UsageError)
    except AlphaError:  # it has not been written yet
        return "another process"
    return f"process {holder.get('pid')} on host `{holder.get('host')}` since {holder.get('since')}"
