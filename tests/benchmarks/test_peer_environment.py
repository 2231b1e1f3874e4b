"""Environments of peers are made once, and anew when what they need has changed."""

from pathlib import Path

import pytest
from benchmarks.peer_environment import python_of_peer
from benchmarks.worker import WorkerError

from benchmarks import peer_environment


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(peer_environment, "_PEERS", tmp_path / "peers")
    file = tmp_path / "peers" / "toolkit" / "requirements.txt"
    file.parent.mkdir(parents=True)
    file.write_text("")
    return file


def test_an_environment_is_made_once(requirements: Path, tmp_path: Path) -> None:
    told: list[str] = []
    python = python_of_peer("toolkit", tmp_path / "made", told.append)
    assert python.exists()
    assert python_of_peer("toolkit", tmp_path / "made", told.append) == python
    assert len(told) == 1


def test_requirements_that_cannot_be_met_are_told(requirements: Path, tmp_path: Path) -> None:
    requirements.write_text("./no-such-folder\n")
    with pytest.raises(WorkerError, match="the environment of toolkit cannot be made"):
        python_of_peer("toolkit", tmp_path / "made", lambda line: None)
    assert not (tmp_path / "made" / "toolkit" / "requirements.txt").exists()
