"""One trainer at a time in a run folder."""

import json
import os
import platform
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.train.test_run import StopAfter, stored_config

from alpha_core import Observer, Plugins
from alpha_core.config import RunConfig
from alpha_core.errors import UsageError
from alpha_train import resume_run, start_run
from alpha_train.run_lock import run_lock


def test_the_folder_says_who_trains_in_it(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        holder = json.loads((tmp_path / "trainer.json").read_text())
        assert (holder["pid"], holder["host"]) == (os.getpid(), platform.node())
        with (
            pytest.raises(UsageError, match=f"is being trained by process {os.getpid()} on host `") as caught,
            run_lock(tmp_path),
        ):
            pytest.fail("two trainers are in")
        assert caught.value.hint is not None
        assert (tmp_path / "trainer.json").exists(), "the one that was refused changed nothing"
    assert not (tmp_path / "trainer.json").exists()
    with run_lock(tmp_path):
        pass


def test_an_error_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path):
        raise ZeroDivisionError
    with run_lock(tmp_path):
        pass


@pytest.mark.parametrize("content", ['{"pid": 1, "ho', "[]", ""])
def test_a_damaged_record_neither_locks_nor_breaks_the_message(content: str, tmp_path: Path) -> None:
    (tmp_path / "trainer.json").write_text(content)
    with run_lock(tmp_path):
        (tmp_path / "trainer.json").write_text(content)
        with pytest.raises(UsageError, match="is being trained by another process"), run_lock(tmp_path):
            pytest.fail("two trainers are in")


def test_a_folder_that_is_gone_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be locked"), run_lock(tmp_path / "file" / "run"):
        pass


def test_a_run_cannot_be_resumed_while_it_trains(make_config: Callable[..., RunConfig], plugins: Plugins) -> None:
    folder = start_run(make_config(), plugins, stop=StopAfter(4)).folder
    in_training, go_on = threading.Event(), threading.Event()

    class Pause(Observer):
        def on_step(self, metrics: Mapping[str, Any]) -> None:
            in_training.set()
            assert go_on.wait(60)

    first = threading.Thread(
        target=resume_run, args=(folder, stored_config(folder), plugins), kwargs={"observer": Pause()}
    )
    first.start()
    assert in_training.wait(60)
    before = {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    with pytest.raises(UsageError, match="is being trained by process"):
        resume_run(folder, stored_config(folder), plugins)
    assert {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()} == before
    go_on.set()
    first.join()
    assert folder.checkpoint_steps()[-1] == 12
