"""What became of a run, from its folder."""

import json
from collections.abc import Callable

import pytest

from alpha_train.run_folder import RunFolder
from alpha_train.run_lock import is_training, run_lock
from alpha_train.runs.status import RunStatus, run_status

FolderOf = Callable[[str], RunFolder]


def test_a_run_that_reached_its_end_is_completed_although_it_was_stopped_before(folder_of: FolderOf) -> None:
    kinds = [event["kind"] for event in folder_of("done").read_events()]
    assert kinds.index("run_resumed") < kinds.index("training_complete")
    assert run_status(folder_of("done")) is RunStatus.completed


def test_a_run_that_was_asked_to_stop_is_stopped(folder_of: FolderOf) -> None:
    assert run_status(folder_of("half")) is RunStatus.stopped


def test_a_completed_run_that_goes_on_and_stops_is_stopped(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    with open(folder.path / "events.jsonl", "a") as file:
        file.write(json.dumps({"kind": "run_resumed", "step": 12, "message": "resumed"}) + "\n")
    assert run_status(folder) is RunStatus.stopped


def test_a_run_that_stopped_improving_is_early_stopped(folder_of: FolderOf) -> None:
    folder = folder_of("half")
    with open(folder.path / "events.jsonl", "a") as file:
        file.write(json.dumps({"kind": "early_stop", "step": 5, "message": "stopped early"}) + "\n")
    assert run_status(folder) is RunStatus.early_stopped


@pytest.mark.parametrize("tag", ["done", "half"])
def test_a_run_is_running_while_its_lock_is_held(folder_of: FolderOf, tag: str) -> None:
    folder = folder_of(tag)
    with run_lock(folder.path):
        assert run_status(folder) is RunStatus.running
    assert run_status(folder) is not RunStatus.running


def test_a_run_whose_trainer_did_not_clean_up_was_killed(folder_of: FolderOf) -> None:
    folder = folder_of("half")
    (folder.path / "trainer.json").write_text('{"pid": 1, "host": "somewhere", "since": "yesterday"}')
    assert run_status(folder) is RunStatus.killed


def test_looking_leaves_the_folder_as_it_is(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    before = sorted(path.name for path in folder.path.iterdir())
    assert not is_training(folder.path)
    assert sorted(path.name for path in folder.path.iterdir()) == before


@pytest.mark.parametrize(("iters", "status"), [(12, RunStatus.completed), (13, RunStatus.stopped)])
def test_without_a_log_the_last_checkpoint_tells(folder_of: FolderOf, iters: int, status: RunStatus) -> None:
    folder = folder_of("done")
    (folder.path / "events.jsonl").unlink()
    assert run_status(folder, iters=iters) is status


def test_lines_that_cannot_be_read_are_passed_over(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    with open(folder.path / "events.jsonl", "ab") as file:
        file.write(b'\n\xff\xfe\n[1]\n{"kind": ["x"]}\n{"kind": "training_com')
    assert run_status(folder) is RunStatus.completed
