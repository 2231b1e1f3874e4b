"""What became of a run."""

from enum import Enum

from alpha_train.run_folder import RunFolder
from alpha_train.run_lock import is_training, was_interrupted

__all__ = ["RunStatus", "run_status"]

_STATUS_AFTER = {
    "training_started": None,
    "run_resumed": None,
    "training_complete": "completed",
    "early_stop": "early stopped",
}


class RunStatus(Enum):
    """How a run stands. See `run_status` for the rule."""

    running = "running"
    completed = "completed"
    early_stopped = "early stopped"
    stopped = "stopped"
    killed = "killed"


def run_status(folder: RunFolder, *, iters: int | None = None) -> RunStatus:
    """Returns how a run stands; the first of these that holds:

    - `running`: a process holds the lock of the folder.
    - `completed`, `early stopped`: the event that says so came after the last start or resumption. Without an event log
      (a run without the sink `jsonl`) it is completed when it has a checkpoint of step `iters`.
    - `killed`: the lock is free, but its holder did not clean up: the process was killed, or the machine went down.
    - `stopped`: it ended before its last step, by a signal or with an error.
    """
    if is_training(folder.path):
        return RunStatus.running
    ending, logged = None, False
    for event in folder.read_events():
        kind = event.get("kind")
        if isinstance(kind, str) and kind in _STATUS_AFTER:
            ending, logged = _STATUS_AFTER[kind], True
    if ending is not None:
        return RunStatus(ending)
    if was_interrupted(folder.path):
        return RunStatus.killed
    if not logged and iters is not None and iters in folder.checkpoint_steps():
        return RunStatus.completed
    return RunStatus.stopped
