"""The throw-away environments of the peers: made once from their `requirements.txt`, made anew when that changes."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.worker import WorkerError

__all__ = ["ENVIRONMENTS", "python_of_peer"]

ENVIRONMENTS = Path(__file__).resolve().parent / "environments"
_PEERS = Path(__file__).resolve().parent / "peers"
_STAMP = "requirements.txt"


def python_of_peer(peer: str, folder: Path, tell: Callable[[str], None] = print) -> Path:
    """Returns the Python of a peer's environment in `folder`, which is made if it is missing or out of date.

    Raises `WorkerError` if that fails.
    """
    environment = folder / peer
    python = environment / "bin" / "python"
    requirements = _PEERS / peer / "requirements.txt"
    wanted = requirements.read_text(encoding="utf-8")
    stamp = environment / _STAMP
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    tell(f"making the environment of {peer} in {environment}")
    shutil.rmtree(environment, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--requirement", str(requirements)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise WorkerError(
                f"the environment of {peer} cannot be made: {lines[-1] if lines else done.returncode}",
                hint=f"make one with what `{requirements}` lists, and name it with `--environment={peer}=FOLDER`",
            )
    stamp.write_text(wanted, encoding="utf-8")
    return python
