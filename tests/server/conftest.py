"""Servers to send to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.ingest_server import IngestServer


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestServer]:
    """A server for all tests that only send to it, each about runs of its own."""
    server = IngestServer(tmp_path_factory.mktemp("server") / "runs")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[IngestServer]:
    """A server that is not yet started."""
    server = IngestServer(tmp_path / "received")
    yield server
    server.kill()
