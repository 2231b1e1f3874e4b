"""nanoGPT's character-level run by `alpha train` from the command line."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `backend`, `precision`. Nothing is warm: each run tokenizes the text and compiles anew."""
    facts: dict[str, Any] = {}
    flags = {**case["flags"], **{name: settings[name] for name in ("backend", "precision")}}
    command = [sys.executable, "-m", "alpha_cli", "train", f"--data={case['text']}", "--tokenizer=char"]
    command += ["--tie-embeddings", "--sample-interval=0", *(f"--{name}={value}" for name, value in flags.items())]

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            environ = {**os.environ, "ALPHA_CACHE": f"{folder}/cache"}
            done = subprocess.run(
                [*command, f"--runs-dir={folder}/runs"], env=environ, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(done.stderr.strip())
            (metrics,) = Path(folder, "runs").glob("*/metrics.jsonl")
            lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
        losses = [line["valLoss"] for line in lines if line.get("valLoss") is not None]
        facts.update(validation_loss=losses[-1], best_validation_loss=min(losses))

    return Prepared(run, facts)
