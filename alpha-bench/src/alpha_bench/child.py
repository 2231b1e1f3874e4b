"""Tasks in processes of their own: what is measured there starts from nothing, and may die without harm.

A task takes a request of JSON values and returns an answer of JSON values. The process reads the request on standard
input and writes the answer to a file; all that it prints goes to standard error.
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import attrs

from alpha_core.errors import AlphaError, UsageError
from alpha_core.plugins import Plugins, load_plugins

__all__ = ["Answer", "run_in_child", "serve"]

Task = Callable[[Plugins, Mapping[str, Any]], dict[str, Any]]

_TASKS = {"case": "alpha_bench.runner", "attempt": "alpha_bench.loop.attempt"}
"""Where the function `serve_NAME` of each task is."""


@attrs.frozen(kw_only=True)
class Answer:
    """What became of a task."""

    value: dict[str, Any] | None
    """None if it failed."""
    reason: str | None = None
    """Why it failed, in one line."""


def run_in_child(task: str, request: Mapping[str, Any], *, timeout: float, log: IO[str] | None = None) -> Answer:
    """Runs a task in a new process and waits for it, `timeout` seconds at most. Its standard error goes to `log`."""
    with tempfile.TemporaryDirectory(prefix="alpha-bench-") as folder:
        path = Path(folder, "answer.json")
        message = {"task": task, "answer": str(path), "request": dict(request)}
        process = subprocess.Popen(_command(), stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)
        try:
            process.communicate(json.dumps(message), timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return Answer(value=None, reason=f"it took longer than {timeout:g} s")
        except BaseException:
            process.kill()
            process.wait()
            raise
        try:
            answer = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return Answer(value=None, reason=f"its process {_ending(process.returncode)}")
        return Answer(value=answer.get("value"), reason=answer.get("reason"))


def serve(text: str, plugins: Plugins | None = None) -> None:
    """Does what a request asks for. Raises `UsageError` for a text that is none."""
    try:
        message = json.loads(text)
        module, request, path = _TASKS[message["task"]], message["request"], Path(message["answer"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "standard input holds no task", hint="`alpha bench` starts this itself; you need not"
        ) from error
    task: Task = getattr(import_module(module), f"serve_{message['task']}")
    with redirect_stdout(sys.stderr):
        answer: dict[str, Any] = {"value": None}
        try:
            answer["value"] = task(plugins or load_plugins(), request)
        except AlphaError as error:
            answer["reason"] = error.message
        except Exception as error:  # noqa: BLE001 - the parent tells of it
            answer["reason"] = f"{type(error).__name__}: {error}"
    path.write_text(json.dumps(answer), encoding="utf-8")


def _command() -> list[str]:
    """A standalone executable has no `-m`; it has the command that does the same."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "bench", "task"]
    return [sys.executable, "-m", "alpha_bench.child"]


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code} and no answer"


if __name__ == "__main__":
    serve(sys.stdin.read())
