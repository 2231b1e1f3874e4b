"""Compiled kernels on disk survive whatever happens to the folder."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from alpha_core.file_cache import FileCache
from alpha_core.recording.launch import KernelSpec
from alpha_tensor.cpu.jit import Jit
from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.target import host_target


def fill(k: Kernel, value: float) -> None:
    """out[i] = value."""
    out, count = k.pointer(), k.integer()
    with k.share(count) as (start, stop), k.range_(start, stop) as i:
        out[i] = value


def run_fill(jit: Jit, value: float) -> list[float]:
    return run(jit, KernelSpec.of(fill, value=value))


def run(jit: Jit, spec: KernelSpec) -> list[float]:
    import ctypes

    out = np.zeros(5, np.float32)
    arguments = np.array([out.ctypes.data, 5], np.int64)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    function(jit.address(spec))(arguments.ctypes.data, 0, 1)
    return [float(one) for one in out]


def test_a_second_process_start_compiles_nothing(tmp_path: Path) -> None:
    first = Jit(host_target(), FileCache("kernels", tmp_path))
    assert run_fill(first, 3.0) == [3.0] * 5
    assert first.compiled == 1
    second = Jit(host_target(), FileCache("kernels", tmp_path))
    assert run_fill(second, 3.0) == [3.0] * 5
    assert second.compiled == 0


def test_a_kernel_of_a_plugin_is_compiled_again_when_its_author_changed_it(tmp_path: Path) -> None:
    for source, want in (("value", 3.0), ("value", 3.0), ("value + 1", 4.0)):
        names: dict[str, Any] = {"__name__": "somebodys_plugin"}
        code = f"def fill(k, value):\n    out = k.pointer()\n    out[0] = {source}\n"
        exec(code, names)
        jit = Jit(host_target(), FileCache("kernels", tmp_path))
        assert run(jit, KernelSpec.of(names["fill"], value=3.0))[0] == want
    assert len(list(tmp_path.glob("*/*.o"))) == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage"])
def test_a_damaged_file_is_compiled_again_and_replaced(tmp_path: Path, damage: str) -> None:
    run_fill(Jit(host_target(), FileCache("kernels", tmp_path)), 4.0)
    (path,) = tmp_path.glob("*/*.o")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    damaged = {"truncate": whole[:-7], "flip": bytes(flipped), "empty": b"", "garbage": b"x" * 500}
    path.write_bytes(damaged[damage])
    again = Jit(host_target(), FileCache("kernels", tmp_path))
    assert run_fill(again, 4.0) == [4.0] * 5
    assert again.compiled == 1
    assert path.read_bytes() == whole


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="runs as root, who may write anywhere")
def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert run_fill(Jit(host_target(), FileCache("kernels", tmp_path / "kernels")), 5.0) == [5.0] * 5
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_cannot_exist_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert run_fill(Jit(host_target(), FileCache("kernels", tmp_path / "file" / "kernels")), 5.0) == [5.0] * 5


def compile_in_child(folder: str, results: "multiprocessing.Queue[list[float]]") -> None:
    results.put(run_fill(Jit(host_target(), FileCache(Path(folder))), 6.0))


def test_processes_may_fill_one_folder_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[float]] = context.Queue()
    children = [context.Process(target=compile_in_child, args=(str(tmp_path), results)) for _ in range(3)]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [[6.0] * 5] * 3
    for child in children:
        child.join()
    assert [path.suffix for path in tmp_path.glob("*/*")] == [".o"]  # no temporary file is left over


def test_another_processor_or_version_has_files_of_its_own(tmp_path: Path) -> None:
    from alpha_tensor.cpu.target import target_of

    run_fill(Jit(host_target(), FileCache("kernels", tmp_path)), 7.0)
    other = Jit(target_of("portable"), FileCache("kernels", tmp_path))
    assert run_fill(other, 7.0) == [7.0] * 5
    assert other.compiled == (host_target().level != "portable")
