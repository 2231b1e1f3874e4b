"""What can go wrong while a checkpoint is written: processes killed at every system call, full disks, folders that
cannot be written. Real processes, really killed; nothing that was there is lost."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.stability import kill_between_syscalls
from tests.stability.kill_between_syscalls import checkpoint
from tests.stability.test_processes import ALPHA, TINY

from alpha_core.errors import CheckpointError
from alpha_train.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
In = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run folder with two checkpoints, of which the older one is the best."""
    run = RunFolder.create(tmp_path, "20260102030405_aaaa", {})
    run.save_checkpoint(checkpoint(10), keep=2, val_loss=2.0)
    run.save_checkpoint(checkpoint(20), keep=2, val_loss=3.0)
    return run


@pytest.mark.skipif(sys.platform != "linux", reason="needs mount namespaces and ptrace, which Linux has")
def test_a_kill_at_any_system_call_loses_nothing(run: RunFolder) -> None:
    command = [sys.executable, kill_between_syscalls.__file__, str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["killed"] for row in rows] == [True] * (len(rows) - 1) + [False]
    assert len(rows) > 60  # two stops a call: open, write, fsync, rename, ..., for two files, and the removals
    for row in rows:
        after, repaired = row["after"], row["repaired"]
        assert after["whole"]
        assert after["notes"] == []
        assert after["latest"] in (20, 30)
        assert after["best"] == after["recorded"], "the best checkpoint is there, whichever that is"
        assert after["latest"] == 30 or {10, 20} <= set(after["steps"])
        assert repaired == {
            "steps": [30],
            "latest": 30,
            "notes": [],
            "whole": True,
            "best": 30,
            "recorded": 30,
            "unfinished": [],
        }
    seen = [(row["after"]["latest"], row["after"]["best"], row["after"]["steps"]) for row in rows]
    assert list(dict.fromkeys(map(str, seen))) == [
        *("(20, 10, [10, 20])", "(30, 10, [10, 20, 30])", "(30, 30, [10, 20, 30])", "(30, 30, [20, 30])"),
        "(30, 30, [30])",
    ], "the stages come one after the other"
    assert any(row["after"]["unfinished"] for row in rows)


def test_no_room_at_any_place_of_the_file_loses_nothing(run: RunFolder) -> None:
    """A limit on the size of files stands for a disk that fills up at any byte of a checkpoint."""
    size = run.checkpoint_path(20).stat().st_size
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in range(0, size, 97):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
            try:
                with pytest.raises(CheckpointError, match="cannot be written: File too large") as caught:
                    run.save_checkpoint(checkpoint(30), keep=1, val_loss=1.0)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert "\n" not in caught.value.message
            assert caught.value.hint == "make room, or check the folder"
            assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before
    finally:
        signal.signal(signal.SIGXFSZ, previous)
    run.save_checkpoint(checkpoint(30), keep=1, val_loss=1.0)
    assert run.checkpoint_steps() == [30]


@pytest.fixture
def in_namespace(tmp_path: Path, text: Path) -> In:
    """Runs a shell script in the folder of the text, in a mount namespace of its own where it is root."""
    unshare = shutil.which("unshare")
    namespace = [str(unshare), "--user", "--map-root-user", "--mount", "sh", "-euc"]
    if unshare is None or subprocess.run([*namespace, "mount -t tmpfs none /mnt"], check=False).returncode != 0:
        pytest.skip("needs mount namespaces")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHA_")}
    environment = {**kept, "ALPHA_CACHE": str(tmp_path / "cache"), "OPENBLAS_NUM_THREADS": "1", "ALPHA": ALPHA}

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*namespace, script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


STEPS = "--iters=12 --eval-interval=4 --keep=9 --quiet"


def test_a_full_disk_ends_training_in_a_line_and_no_checkpoint_is_lost(in_namespace: In, tmp_path: Path) -> None:
    done = in_namespace(
        f"""
        mkdir runs && mount -t tmpfs -o size=160k none runs
        status=0
        $ALPHA train {" ".join(TINY)} {STEPS} 2>errors || status=$?
        echo "status $status"
        ls -A runs/* | grep checkpoint | sort -V
        mount -o remount,size=4m runs
        $ALPHA train --resume=last --quiet
        ls -A runs/* | grep checkpoint | sort -V
        """
    )
    errors = (tmp_path / "errors").read_text().splitlines()
    assert [line for line in errors if line.startswith("error: ")] == [
        line for line in errors if "cannot be written: No space left on device" in line
    ]
    assert "hint: make room, or check the folder" in errors
    assert not any("Traceback" in line for line in errors)
    status, *names = done.stdout.splitlines()
    assert status == "status 5", done.stdout + done.stderr
    complete = [f"checkpoint-{step}.alph" for step in (4, 8, 12)]
    there = names[: -len(complete)]
    assert 0 < len(there) < 3
    assert there == complete[: len(there)], "no part of another one either"
    assert names[-3:] == complete
    assert "completed at step 12" in done.stderr


@pytest.mark.parametrize("moment", ["from the start", "on the way"])
def test_a_folder_that_cannot_be_written_ends_training_in_a_line(moment: str, in_namespace: In) -> None:
    train = f"$ALPHA train {' '.join(TINY)} {STEPS}"
    if moment == "from the start":
        script = f"mkdir runs && mount --bind runs runs && mount -o remount,ro,bind runs && {train}"
    else:
        resume = "$ALPHA train --resume=last --iters=20"
        script = f"{train} && mount --bind runs runs && mount -o remount,ro,bind runs && {resume}"
    done = in_namespace(script)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Read-only file system" in line
