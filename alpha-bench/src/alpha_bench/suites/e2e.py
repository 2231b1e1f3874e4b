"""The suite `e2e`: `alpha train` as a process, from the command line to the first step and to the end.

`cold` starts with an empty cache folder, so tokens are made and kernels compiled; `warm` finds them.
"""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from alpha_bench.case import Case, CaseSkippedError, Suite, Work
from alpha_bench.session import Session
from alpha_bench.suites.models import MODELS, QUICK_MODELS, BenchModel
from alpha_bench.suites.text import text_facts, text_file
from alpha_core.errors import AlphaError

__all__ = ["SUITE"]

_SIZE = 200_000
"""Characters of text."""
_MODEL = "2x64"
_STEPS, _QUICK_STEPS = 200, 4
_LONGEST = 1800.0
_PAUSE = 0.002


def cases(session: Session) -> list[Case]:
    return [_case(session, until, warm=warm) for until in ("first-step", "done") for warm in (False, True)]


def _case(session: Session, until: str, *, warm: bool) -> Case:
    model = next(iter(QUICK_MODELS.values())) if session.quick else MODELS[_MODEL]
    steps = _QUICK_STEPS if session.quick else _STEPS

    def prepare(session: Session) -> Work:
        if not getattr(sys, "frozen", False) and find_spec("alpha_cli") is None:
            raise CaseSkippedError("alpha-cli is not installed, which brings the command")
        start = _Start(session, model, steps)
        if warm:
            start.seconds("done")

        def run(times: int) -> float:
            return sum(_once(start, until, warm=warm) for _ in range(times))

        tokens = model.tokens * steps
        return Work(run=run, work={"tokens": tokens} if until == "done" else {})

    return Case(
        suite="e2e",
        id=f"{until}-{'warm' if warm else 'cold'}",
        parameters={
            **model.parameters,
            "vocab_size": "the text's",
            "steps": steps,
            "until": until,
            "cache": "warm" if warm else "cold",
            "tokenizer": "char",
            **text_facts(session, _SIZE),
        },
        prepare=prepare,
        heavy=True,
    )


def _once(start: "_Start", until: str, *, warm: bool) -> float:
    if not warm:
        start.forget()
    return start.seconds(until)


class _Start:
    """Starts `alpha train` on the session's text, again and again."""

    def __init__(self, session: Session, model: BenchModel, steps: int) -> None:
        self._folder = session.folder / "e2e"
        self._folder.mkdir(exist_ok=True)
        self._cache = self._folder / "cache"
        config = attrs.asdict(model.config)
        del config["vocab_size"]
        settings: dict[str, Any] = {
            **config,
            "data": text_file(session, _SIZE),
            "tokenizer": "char",
            "backend": session.backend_name,
            "batch_size": model.batch_size,
            "iters": steps,
            "eval_interval": 0,
            "sample_interval": 0,
            "sinks": "jsonl",
            "runs_dir": self._folder / "runs",
            **({"knobs": ",".join(session.knobs)} if session.knobs else {}),
        }
        flags = [_flag(key, value) for key, value in settings.items()]
        frozen = getattr(sys, "frozen", False)
        self._command = [sys.executable, *([] if frozen else ["-m", "alpha_cli"]), "train", *flags, "--quiet"]

    def forget(self) -> None:
        """Empties the cache."""
        shutil.rmtree(self._cache, ignore_errors=True)

    def seconds(self, until: str) -> float:
        """Returns the seconds from starting the process `until` the first step is logged, or the process is done."""
        runs = self._folder / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        environ = {**os.environ, "ALPHA_CACHE": str(self._cache)}
        began = time.perf_counter()
        process = subprocess.Popen(
            self._command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            if until == "first-step":
                while process.poll() is None and not _has_step(runs):
                    time.sleep(_PAUSE)
                seconds = time.perf_counter() - began
                if process.poll() is None:
                    process.terminate()
                    process.communicate(timeout=_LONGEST)
                    return seconds
            _, told = process.communicate(timeout=_LONGEST)
            seconds = time.perf_counter() - began
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode != 0:
            raise AlphaError(f"`alpha train` ended with code {process.returncode}: {' '.join(told.split())}")
        return seconds


def _has_step(runs: Path) -> bool:
    return any(path.stat().st_size for path in runs.glob("*/metrics.jsonl"))


def _flag(key: str, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"--{key.replace('_', '-')}={text}"


SUITE = Suite(
    name="e2e",
    summary="`alpha train` as a process, to the first step and to the end",
    cases=cases,
    needs_ceilings=False,
)
