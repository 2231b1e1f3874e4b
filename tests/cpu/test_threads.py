"""How many threads there are, and how they come and go; which instructions are used."""

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.cpu.backends import own_levels

from alpha_core.errors import BackendError, UsageError
from alpha_core.tensor import Tensor
from alpha_tensor.cpu import team
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.target import LEVELS, host_target
from alpha_tensor.cpu.team import default_threads


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("alpha-cpu-")]


def runs(backend: Cpu) -> Callable[[], None]:
    """Returns what runs a program and checks what it gives."""
    x = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    want = backend.download(backend.exp(backend.upload(x)))

    def step(t: Tensor) -> list[Tensor]:
        return [backend.exp(t)]

    program = backend.record(step, [x], name="exp")
    return lambda: np.testing.assert_array_equal(backend.download(program(x)[0]), want)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_variable_says_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (1, 7, 1024):
        monkeypatch.setenv("ALPHA_THREADS", str(count))
        assert default_threads() == count
    monkeypatch.setenv("ALPHA_THREADS", "3")
    assert "3 threads" in Cpu().description


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", "1025", "٣٣٣٣"])
def test_a_wrong_number_of_threads_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_THREADS", wrong)
    with pytest.raises(UsageError, match=f"`ALPHA_THREADS` is `{wrong}`"):
        default_threads()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity masks")
def test_without_it_there_are_no_more_than_the_affinity_mask_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("", None):
        monkeypatch.delenv("ALPHA_THREADS") if variable is None else monkeypatch.setenv("ALPHA_THREADS", variable)
        assert 1 <= default_threads() <= len(os.sched_getaffinity(0))
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert default_threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_two_threads_of_a_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    siblings = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}

    def path_of(name: str) -> Path:
        if "topology" not in name:
            return tmp_path / "absent"
        number = int("".join(filter(str.isdigit, name.split("/")[5])))
        path = tmp_path / str(number)
        if number in siblings:
            path.write_text(siblings[number] + "\n")
        return path

    monkeypatch.setattr(team, "Path", path_of)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3, 4})
    monkeypatch.delenv("ALPHA_THREADS", raising=False)
    assert default_threads() == 3  # and one of which nothing is known


@pytest.mark.parametrize(
    ("limit", "threads"), [("max 100000", 6), ("150000 100000", 1), ("400000 100000", 4), ("50000 100000", 1)]
)
def test_the_share_of_a_control_group_limits_threads(
    limit: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    monkeypatch.setattr(team, "Path", lambda name: tmp_path / Path(name).name)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    monkeypatch.delenv("ALPHA_THREADS", raising=False)
    assert default_threads() == threads


def test_threads_start_with_the_first_program_and_end_with_the_backend() -> None:
    before = len(workers())
    backend = Cpu(threads=4)
    run = runs(backend)
    assert len(workers()) == before
    for _ in range(3):
        run()
        assert len(workers()) == before + 3
    backend.close()
    backend.close()
    assert len(workers()) == before
    run()
    assert len(workers()) == before + 3
    backend.close()


def test_threads_of_a_backend_that_is_dropped_end() -> None:
    before = len(workers())
    for _ in range(5):
        runs(Cpu(threads=6))()
        other = Cpu(threads=3)  # takes memory that became free
        runs(other)()
        other.close()
    gc.collect()
    wait_until(lambda: len(workers()) <= before)


def test_threads_that_sleep_wake_up() -> None:
    backend = Cpu(threads=3)
    run = runs(backend)
    for pause in (0.0, 0.002, 0.05, 0.0, 0.2):
        time.sleep(pause)
        run()
    backend.close()


def test_the_knob_changes_the_number_of_threads() -> None:
    before = len(workers())
    backend = Cpu(threads=2)
    run = runs(backend)
    for threads in (4, 1, 8, 2):
        backend.set_knob("threads", threads)
        run()
        assert len(workers()) == before + threads - 1
    backend.close()


def test_a_system_without_so_many_threads_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(workers())
    backend = Cpu(threads=5)
    run = runs(backend)
    start, started = threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if thread.name.startswith("alpha-cpu-"):
            if len(started) == 2:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(BackendError, match="no more than 3 of the 5 threads"):
        run()
    wait_until(lambda: len(workers()) == before)
    monkeypatch.undo()
    run()
    backend.close()


def test_the_variable_says_which_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    host_target.cache_clear()
    try:
        for level in own_levels():
            monkeypatch.setenv("ALPHA_CPU_FEATURES", level)
            host_target.cache_clear()
            assert host_target().level == level
            assert f"({level}, " in Cpu(threads=1).description
        monkeypatch.setenv("ALPHA_CPU_FEATURES", "avx3")
        host_target.cache_clear()
        with pytest.raises(UsageError, match="`ALPHA_CPU_FEATURES` is `avx3`") as caught:
            host_target()
        assert "avx2" in (caught.value.hint or "")
    finally:
        monkeypatch.undo()
        host_target.cache_clear()


def test_instructions_that_the_processor_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import llvmlite.binding as llvm

    have, is_x86 = llvm.get_host_cpu_features(), "avx2" in own_levels()
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {name: name in ("avx2", "fma", "f16c") for name in have})
    host_target.cache_clear()
    try:
        if is_x86:
            monkeypatch.setenv("ALPHA_CPU_FEATURES", "avx512")
            with pytest.raises(UsageError, match="`avx512`, and this processor goes up to `avx2`"):
                host_target()
        monkeypatch.setenv("ALPHA_CPU_FEATURES", LEVELS[0])
        assert host_target().level == LEVELS[0]
    finally:
        monkeypatch.undo()
        host_target.cache_clear()


def test_bf16_is_refused_with_a_reason_where_the_processor_has_none() -> None:
    code = (
        "from alpha_tensor.cpu.backend import Cpu\n"
        "from alpha_core.dtype import DType\n"
        "from alpha_core.errors import AlphaError\n"
        "try:\n"
        "    Cpu(threads=1).set_matmul_dtype(DType.bf16)\n"
        "except AlphaError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ALPHA_CPU_FEATURES": "portable"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no bf16 products here: the processor (used as `portable`)" in done.stdout
    assert "--precision=f32" in done.stdout
