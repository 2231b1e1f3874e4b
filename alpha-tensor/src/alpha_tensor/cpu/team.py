"""The threads that work on programs, and how many there are."""

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alpha_core.errors import BackendError, UsageError
from alpha_core.recording.launch import KernelSpec
from alpha_tensor.cpu.jit import Jit
from alpha_tensor.cpu.kernels.walk import TEAM, post, serve

__all__ = ["Team", "default_threads", "processors"]

_MAXIMUM = 1024
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_OPAQUE_BYTES = 512  # more than a mutex or a condition variable takes on any system
_TABLE_BYTES = 3 * _OPAQUE_BYTES  # the slots of `walk.TEAM`, the mutex and the condition variable

Table = npt.NDArray[np.int64]


class Team:
    """Threads that wait in native code for the next job, so that handing one over costs microseconds."""

    def __init__(self, jit: Jit, threads: int) -> None:
        self.threads = threads
        self._jit = jit
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] | None = None
        self._start()
        _TEAMS.add(self)

    def run(self, job: Table) -> None:
        """Works on a job (a table laid out as `walk.JOB`) and returns when it is done."""
        function = _SIGNATURE(self._jit.address(KernelSpec.of(post)))
        arguments = np.array([self._table.ctypes.data, job.ctypes.data], np.int64)
        with self._lock:
            if self._threads is None:
                self._launch()
            function(arguments.ctypes.data, 0, 1)

    def close(self) -> None:
        """Lets the threads end. They hold no state, so a later job starts new ones."""
        with self._lock:
            threads, self._threads = self._threads, None
            if threads:
                _stop(self._table)
                for thread in threads:
                    thread.join()

    def _start(self) -> None:
        """Makes the shared table, with no thread yet: they start with the first job."""
        self._table = np.zeros(_TABLE_BYTES // 8, np.int64)
        libc = ctypes.CDLL(None)
        for index, name in enumerate(("mutex", "condition"), 1):
            address = self._table.ctypes.data + index * _OPAQUE_BYTES
            self._table[TEAM.index(name)] = address
            getattr(libc, f"pthread_{'cond' if name == 'condition' else name}_init")(ctypes.c_void_p(address), None)
        self._threads = None
        self._finalizer = weakref.finalize(self, _stop, self._table)
        self._finalizer.atexit = False  # threads that wait end with the process

    def _launch(self) -> None:
        self._table[TEAM.index("stop")] = 0
        function = _SIGNATURE(self._jit.address(KernelSpec.of(serve)))
        known = int(self._table[TEAM.index("generation")])
        threads: list[threading.Thread] = []
        for number in range(1, self.threads):
            arguments = np.array([self._table.ctypes.data, number, known], np.int64)
            # The thread keeps its table and its code, for the team may be dropped before it has ended.
            kept = (arguments, self._table, self._jit)
            thread = threading.Thread(target=_serve, args=(function, kept), name=f"alpha-cpu-{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                _stop(self._table)
                raise BackendError(
                    f"the system starts no more than {number} of the {self.threads} threads of backend `cpu`",
                    hint="choose fewer with `ALPHA_THREADS`",
                ) from error
            threads.append(thread)
        self._threads = threads

    def forget(self) -> None:
        """In the child of a fork, where only the forking thread lives on: begins without threads."""
        self._finalizer.detach()
        self._lock = threading.Lock()
        self._start()


def _serve(function: Callable[[int, int, int], None], kept: tuple[Table, Table, Jit]) -> None:
    function(kept[0].ctypes.data, 0, 1)


def _stop(table: Table) -> None:
    """Tells the threads of a team to end."""
    libc = ctypes.CDLL(None)
    mutex, condition = (ctypes.c_void_p(int(table[TEAM.index(name)])) for name in ("mutex", "condition"))
    libc.pthread_mutex_lock(mutex)
    table[TEAM.index("stop")] = 1
    table[TEAM.index("generation")] += 1
    libc.pthread_cond_broadcast(condition)
    libc.pthread_mutex_unlock(mutex)


_TEAMS: "weakref.WeakSet[Team]" = weakref.WeakSet()


def _forget_all() -> None:
    for team in list(_TEAMS):
        team.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def default_threads() -> int:
    """Returns `ALPHA_THREADS`, or the processors that this process may use. Raises `UsageError`."""
    wanted = os.environ.get("ALPHA_THREADS")
    if wanted:
        if not wanted.isdecimal() or not 1 <= int(wanted) <= _MAXIMUM:
            raise UsageError(f"`ALPHA_THREADS` is `{wanted}`; a number of threads from 1 to {_MAXIMUM} is needed")
        return int(wanted)
    return processors()


def processors() -> int:
    """Returns how many processors this process may use: by its affinity mask and its control group's share of time, and
    one for each core where cores run two threads."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    return max(1, min(_cores(allowed), _quota() or _MAXIMUM))


def _cores(processors: set[int]) -> int:
    """Counts cores: two processors that are threads of one core share its arithmetic units."""
    cores = set()
    for number in processors:
        path = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        try:
            cores.add(path.read_text().strip())
        except OSError:
            cores.add(str(number))
    return len(cores)


def _quota() -> int | None:
    """Returns the whole processors that the control group grants, None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
