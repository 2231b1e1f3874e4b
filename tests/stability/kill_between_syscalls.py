"""Writes a checkpoint in processes that are killed one system call later each time; run as a script by the tests.

    kill_between_syscalls.py FOLDER

FOLDER is a run folder with the checkpoints of steps 10 (the best) and 20. For n = 1, 2, ... a child process, which this
one traces with `ptrace`, saves the checkpoint of step 30, better than both, in a copy of it, and gets SIGKILL at its
n-th stop: before a system call is made, or after it was. Prints one JSON object a line: what was left each time.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from alpha_train.checkpoint import Checkpoint
from alpha_train.run_folder import RunFolder

_TRACE_ME, _CONTINUE_TO_SYSCALL = 0, 24
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_MOST = 2000  # stops, far more than a checkpoint takes


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        step=step,
        optimizer_step=step,
        model_config={},
        config_hash="",
        seed=1,
        tokenizer_artifacts=None,
        parameters={"w": np.full(300, step, np.float32), "b": np.full(7, step, np.float32)},
        optimizer_state={"w": {"m": np.full(300, -step, np.float32)}},
    )


def save(folder: RunFolder) -> None:
    folder.save_checkpoint(checkpoint(30), keep=1, val_loss=1.0)


def trace(call: int, process: int) -> None:
    if _LIBC.ptrace(call, process, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def killed_at(folder: RunFolder, stops: int) -> bool:
    """Saves in a child that is killed at a stop; tells whether it was, and not done before."""
    child = os.fork()
    if child == 0:
        try:
            trace(_TRACE_ME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            save(folder)
        except BaseException as error:  # noqa: BLE001 (it must not return into the parent's code)
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)
    for _ in range(stops):
        trace(_CONTINUE_TO_SYSCALL, child)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return False
        assert os.WSTOPSIG(status) == signal.SIGTRAP
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    return True


def state(folder: RunFolder) -> dict[str, Any]:
    """Returns what a person or the next trainer finds in the folder."""
    latest, best = folder.latest_checkpoint(), folder.best_checkpoint()
    recorded = folder.read_best()
    return {
        "steps": folder.checkpoint_steps(),
        "latest": latest.step,
        "notes": list(latest.notes),
        "whole": all((array == latest.step).all() for array in latest.parameters.values()),
        "best": best.step,
        "recorded": recorded.step if recorded is not None else None,
        "unfinished": sorted(path.name for path in folder.path.iterdir() if path.name.endswith(".tmp")),
    }


def main(original: Path) -> None:
    for stops in range(1, _MOST):
        copy = original.with_name(f"{original.name}-{stops}")
        shutil.copytree(original, copy)
        folder = RunFolder(copy)
        killed = killed_at(folder, stops)
        after = state(folder)
        save(folder)  # what the resumed trainer does
        print(json.dumps({"killed": killed, "after": after, "repaired": state(folder)}))
        shutil.rmtree(copy)
        if not killed:
            return
    raise AssertionError(f"a checkpoint took more than {_MOST} stops")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
