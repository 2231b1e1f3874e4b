"""Compiling many modules at once, on several processors.

llvmlite lets one thread at a time into LLVM, so threads compile no faster than one of them does. Processes do: helpers,
which are `emit.py` run by the same Python. Whatever they leave, or all of it where there can be none, is compiled here.
"""

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import llvmlite

from alpha_tensor.cpu import emit
from alpha_tensor.cpu.target import Target

__all__ = ["build"]

_WORTHWHILE = 150_000
"""Characters of IR that take about 0.5 s: three times of what a helper needs to start."""
_PROGRAM = "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path.append(sys.argv[1]); \
runpy.run_path(sys.argv[2], run_name='__main__')"
"""What a helper runs. An interrupt from the keyboard reaches it too, and its end is the other process's decision."""

Compile = Callable[[str], bytes]


def build(texts: Sequence[str], target: Target, processors: int) -> list[bytes]:
    """Compiles modules to object files, on so many processors at most."""
    count = min(processors - 1, sum(map(len, texts)) // _WORTHWHILE)
    # Large modules first, so that the last one does not run alone.
    waiting = deque(sorted(range(len(texts)), key=lambda index: -len(texts[index])))
    done: dict[int, bytes] = {}

    def here(text: str) -> bytes:
        return emit.emit_object(text, target.cpu, target.features)

    with _helpers(target, count) as helpers:
        threads = [threading.Thread(target=_work, args=(helper, texts, waiting, done)) for helper in helpers]
        for thread in threads:
            thread.start()
        _work(here, texts, waiting, done)
        for thread in threads:
            thread.join()
    _work(here, texts, waiting, done)
    return [done[index] for index in range(len(texts))]


class _HelperLostError(Exception):
    """A helper has ended."""


def _work(compile_: Compile, texts: Sequence[str], waiting: deque[int], done: dict[int, bytes]) -> None:
    """Takes one module after the other."""
    with suppress(IndexError):  # nothing waits
        while True:
            index = waiting.popleft()
            try:
                done[index] = compile_(texts[index])
            except _HelperLostError:
                waiting.appendleft(index)
                return


@contextmanager
def _helpers(target: Target, count: int) -> Iterator[list[Compile]]:
    """Starts up to `count` helpers; they end with the block."""
    processes: list[subprocess.Popen[bytes]] = []
    if _is_python(sys.executable):
        folder = str(Path(llvmlite.__file__).parent.parent)
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, folder, emit.__file__, target.cpu, target.features]
        pipe = subprocess.PIPE
        with suppress(OSError):
            for _ in range(count):
                process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
                processes.append(process)
    try:
        yield [_asked(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            with suppress(OSError):  # what could not be written is written when a pipe is closed
                process.__exit__(None, None, None)


def _is_python(executable: str | None) -> bool:
    """Whether a program that would run a helper is a Python, and not an application that has one inside of it."""
    return bool(executable) and not getattr(sys, "frozen", False) and Path(str(executable)).name.startswith("python")


def _asked(process: "subprocess.Popen[bytes]") -> Compile:
    """Returns what has a helper compile a module."""
    requests, results = process.stdin, process.stdout
    assert requests is not None
    assert results is not None

    def compile_(text: str) -> bytes:
        found = None
        with suppress(OSError):  # where it has ended
            emit.write_block(requests, text.encode())
            found = emit.read_block(results)
        if found is None:
            raise _HelperLostError
        return found

    return compile_
