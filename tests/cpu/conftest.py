"""Kernels are compiled once for all tests of a run, and not into the user's cache."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which the workers share
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALPHA_CACHE", str(folder / "alpha-cache"))
        yield
