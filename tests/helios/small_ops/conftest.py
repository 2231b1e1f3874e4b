"""Which tests of the kit make no sense here."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
BY_BITS = ("test_record[", "test_record_training_steps[")
"""They hold what is recorded, on the device, to the bits of what is called, which numpy rounds in its own way."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if item.path.parent != FOLDER or not item.name.startswith(BY_BITS)]
