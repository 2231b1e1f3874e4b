"""Starts `nanogpt_script.py` as a process of its own, and waits for its end."""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `threads`, `mode`, `precision`. Nothing is warm: each run compiles anew if it compiles."""
    facts: dict[str, Any] = {}
    flags = {**case["flags"], **{name: settings[name] for name in ("threads", "mode", "precision")}}
    command = [sys.executable, "-m", "benchmarks.peers.pytorch.nanogpt_script", case["text"]]
    command += [f"--{name}={value}" for name, value in flags.items()]

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            environ = {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiled"}
            done = subprocess.run(
                [*command, f"--out={folder}/best.pt"],
                env={**os.environ, **environ},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        facts.update(json.loads(done.stdout.splitlines()[-1]))

    return Prepared(run, facts)
