"""Damaged files lie in memory where they can: a disk takes longer to write one than parsers to read it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = "/dev/shm"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    folder = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=folder, prefix="alpha-fuzz-") as name:
        yield Path(name)
