"""Modules are compiled by helper processes too, and whatever becomes of those, all of them are compiled."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llvmlite")

from alpha_core.file_cache import FileCache
from alpha_core.recording.launch import KernelSpec
from alpha_tensor.cpu import build as building
from alpha_tensor.cpu.build import build
from alpha_tensor.cpu.jit import Jit
from alpha_tensor.cpu.kernels.finish import Finish
from alpha_tensor.cpu.kernels.gemm import gemm
from alpha_tensor.cpu.kernels.norm import norm, norm_grad
from alpha_tensor.cpu.target import host_target, target_of


def modules() -> list[str]:
    jit = Jit(host_target(), FileCache("kernels", Path("/nowhere")))
    specs = [KernelSpec.of(gemm, finish=Finish(add=add), words="f32") for add in (False, True)]
    specs += [KernelSpec.of(norm, bias=bias, centred=True, strided=False) for bias in (False, True)]
    specs += [KernelSpec.of(norm_grad, centred=centred, strided=False) for centred in (False, True)]
    return [jit._module(spec) for spec in specs]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> "list[subprocess.Popen[bytes]]":
    """The helpers of a test, where the least work is worth one."""
    monkeypatch.setattr(building, "_WORTHWHILE", 1)
    processes = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    return processes


def test_helpers_compile_what_one_process_compiles(
    started: "list[subprocess.Popen[bytes]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = modules()
    alone = build(texts, host_target(), 1)
    assert not started
    here = building.emit.emit_object
    compiled_here = []

    def slow(text: str, cpu: str, features: str) -> bytes:
        compiled_here.append(text)
        time.sleep(1.5)  # longer than a helper needs to start
        return here(text, cpu, features)

    monkeypatch.setattr(building.emit, "emit_object", slow)
    assert build(texts, host_target(), 3) == alone
    assert len(started) == 2
    assert 0 < len(compiled_here) < len(texts)
    assert all(process.returncode is not None for process in started)


def test_the_target_reaches_helpers(started: "list[subprocess.Popen[bytes]]", monkeypatch: pytest.MonkeyPatch) -> None:
    if host_target().level == "portable":
        pytest.skip("this processor has one level")
    texts, portable = [text for text in modules() if "llvm.x86" not in text], target_of("portable")
    alone = build(texts, portable, 1)
    assert alone != build(texts, host_target(), 1)
    work = building._work

    def only_helpers(compile_: Any, *others: Any) -> None:
        if compile_.__name__ != "here":
            work(compile_, *others)

    monkeypatch.setattr(building, "_work", only_helpers)
    assert build(texts, portable, 2) == alone
    assert len(started) == 1


@pytest.mark.parametrize("when", ["before", "during"])
def test_what_a_lost_helper_leaves_is_compiled_here(
    started: "list[subprocess.Popen[bytes]]", monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    texts = modules()
    alone = build(texts, host_target(), 1)
    written = building.emit.write_block

    def killing(stream: Any, block: bytes) -> None:
        if when == "during":
            written(stream, block)
        for process in started:
            os.kill(process.pid, signal.SIGKILL)
        if when == "before":
            for process in started:
                process.wait()
            written(stream, block)

    monkeypatch.setattr(building.emit, "write_block", killing)
    assert build(texts, host_target(), 2) == alone
    assert [process.returncode for process in started] == [-signal.SIGKILL]


@pytest.mark.parametrize("executable", [None, "", "/usr/bin/blender", "/nowhere/python3"])
def test_without_a_python_to_run_everything_is_compiled_here(
    started: "list[subprocess.Popen[bytes]]", monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    texts = modules()[:2]
    alone = build(texts, host_target(), 1)
    monkeypatch.setattr(sys, "executable", executable)
    assert build(texts, host_target(), 2) == alone
    assert not started


def test_an_error_is_that_of_llvm_and_leaves_no_helper(started: "list[subprocess.Popen[bytes]]") -> None:
    texts = [*modules()[:2], "this is no module"]
    with pytest.raises(RuntimeError, match="expected top-level entity"):
        build(texts, host_target(), 2)
    assert started
    assert all(process.returncode is not None for process in started)
