"""A worker's side of the conversation with the driver: JSON lines, a request on stdin and its answer on stdout.

| request | answer |
|---|---|
| `{"do": "prepare", "case": {...}, "settings": {...}}` | `{"versions": {...}, "facts": {...}}` |
| `{"do": "measure", "repetitions": 3, "seconds": 0.5}` | `{"samples": [...], "facts": {...}, "memory_peak_bytes": 1}` |

`measure` repeats at least so often and at least so long. A request that fails is answered by `{"error": "..."}`, and
the worker goes on; it ends when stdin does. Needs nothing but the standard library, for it runs in every environment.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Prepared", "Settings", "serve"]

Case = Mapping[str, Any]
"""What is to be done: `task`, and its parameters."""
Settings = Mapping[str, Any]
"""How this toolkit does it: `threads`, `mode`, ..."""


@dataclass
class Prepared:
    """A case that is ready to be measured, warm-up included."""

    run: Callable[[], None]
    """One repetition; it is over when this returns."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is to be recorded, numbers and text; `run` may add to it."""


def serve(versions: Mapping[str, str], tasks: Mapping[str, Callable[[Case, Settings], Prepared]]) -> None:
    """Answers requests until stdin ends. What a toolkit prints on stdout goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    prepared = Prepared(lambda: None)
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            if request["do"] == "prepare":
                case = request["case"]
                if case["task"] not in tasks:
                    raise ValueError(f"this worker has no task `{case['task']}`")
                prepared = tasks[case["task"]](case, request["settings"])
                answer = {"versions": dict(versions), "facts": prepared.facts}
            else:
                samples = _measure(prepared.run, request["repetitions"], request["seconds"])
                answer = {"samples": samples, "facts": prepared.facts, "memory_peak_bytes": _memory_peak()}
        except Exception as error:  # noqa: BLE001 - whatever a toolkit raises is the driver's to report
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _measure(run: Callable[[], None], repetitions: int, seconds: float) -> list[float]:
    samples: list[float] = []
    while len(samples) < repetitions or sum(samples) < seconds:
        began = time.perf_counter()
        run()
        samples.append(time.perf_counter() - began)
    return samples


def _memory_peak() -> "int | None":
    """Returns the most resident memory of this process so far, in bytes.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None
