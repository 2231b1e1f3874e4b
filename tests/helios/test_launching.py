"""Launches in queues and in programs: order, barriers, many arguments, several threads, the cache of modules."""

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.helios.kernels import add_many, scale, slow_copy

from alpha_core.file_cache import FileCache
from alpha_core.recording.launch import KernelSpec
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.compiler import Compiler
from alpha_helios.grid import grid

N = 1000
GROUPS = grid(-(-N // 64))


def scaled(backend: Helios, x: Tensor, by: float) -> Tensor:
    out = backend.empty(x.shape)
    backend.launch(KernelSpec.of(scale, by=by, workgroup=64), writes=[out], reads=[x], values=[N], groups=GROUPS)
    return out


def copied(backend: Helios, x: Tensor) -> Tensor:
    out = backend.empty(x.shape)
    backend.launch(KernelSpec.of(slow_copy, workgroup=64), writes=[out], reads=[x], values=[N], groups=GROUPS)
    return out


def numbers(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(N).astype(np.float32)


def test_a_chain_of_launches_runs_in_order(helios: Helios) -> None:
    x = helios.upload(numbers())
    for _ in range(5):
        x = scaled(helios, copied(helios, x), 2.0)
    np.testing.assert_array_equal(helios.download(x), numbers() * 32)


def test_a_longer_queue_than_one_list_runs_whole(helios: Helios) -> None:
    x = helios.upload(numbers())
    for _ in range(300):
        x = scaled(helios, x, -1.0)
    np.testing.assert_array_equal(helios.download(x), numbers())


def test_memory_that_is_freed_and_used_again_keeps_its_readers_right(helios: Helios) -> None:
    results = []
    for seed in range(40):
        x = helios.upload(numbers(seed))
        results.append(copied(helios, x))
        del x  # its memory may be that of the next upload, while the copy is still queued
    for seed, result in enumerate(results):
        np.testing.assert_array_equal(helios.download(result), numbers(seed))


@pytest.mark.parametrize("count", [3, 40])
def test_arguments_go_through_memory_where_push_constants_are_too_small(helios: Helios, count: int) -> None:
    def step(x: Tensor) -> list[Tensor]:
        tensors = [scaled(helios, x, float(by)) for by in range(count)]
        total = scaled(helios, x, 0.5)
        spec = KernelSpec.of(add_many, count=count, workgroup=64)
        helios.launch(spec, updates=[total], reads=tensors, values=[N], groups=GROUPS)
        return [total]

    (called,) = step(helios.upload(numbers()))
    (recorded,) = helios.record(step, [numbers()], name="many")(numbers())
    want = numbers() * np.float32(0.5)
    for by in range(count):
        want = want + numbers() * np.float32(by)
    np.testing.assert_array_equal(helios.download(called), want)
    np.testing.assert_array_equal(helios.download(recorded), want)


def test_barriers_stand_only_between_launches_that_meet(helios: Helios) -> None:
    def together(x: Tensor) -> list[Tensor]:
        return [scaled(helios, x, float(by)) for by in range(6)]

    def in_a_row(x: Tensor) -> list[Tensor]:
        for _ in range(6):
            x = scaled(helios, x, 2.0)
        return [x]

    counts = []
    for step in (together, in_a_row):
        program = helios.record(step, [numbers()], name="step")
        program(numbers())
        counts.append(program.barriers)
    assert counts == [0, 5]


def test_intermediates_share_memory_and_stay_right(helios: Helios) -> None:
    def step(x: Tensor) -> list[Tensor]:
        for _ in range(20):
            x = scaled(helios, copied(helios, x), 2.0)
        return [scaled(helios, x, 0.5)]

    program = helios.record(step, [numbers()], name="row")
    assert program.peak_bytes < 5 * 4 * N + 512  # the input, two intermediates and the output, not forty
    for seed in range(3):
        (out,) = program(numbers(seed))
        np.testing.assert_array_equal(helios.download(out), numbers(seed) * np.float32(2.0**19))


def test_calls_that_overlap_on_the_device_keep_their_own_inputs(helios: Helios) -> None:
    total = helios.upload(np.zeros(N, np.float32))

    def step(x: Tensor) -> list[Tensor]:
        spec = KernelSpec.of(add_many, count=1, workgroup=64)
        helios.launch(spec, updates=[total], reads=[copied(helios, x)], values=[N], groups=GROUPS)
        return []

    program = helios.record(step, [numbers()], name="sum")
    want = np.zeros(N, np.float32)
    for seed in range(20):
        program(numbers(seed))
        want = want + numbers(seed)
    np.testing.assert_array_equal(helios.download(total), want)


def test_a_download_that_was_started_sees_what_was_there_then(helios: Helios) -> None:
    program = helios.record(lambda x: [copied(helios, x)], [numbers()], name="copy")
    waiting = []
    for seed in range(3):
        (out,) = program(numbers(seed))
        waiting.append(helios.start_download(out))
    for seed, wait in enumerate(waiting):
        np.testing.assert_array_equal(wait(), numbers(seed))


def test_an_output_may_be_an_input(helios: Helios) -> None:
    program = helios.record(lambda x: [x, scaled(helios, x, 2.0)], [numbers()], name="both")
    for seed in range(2):
        same, double = program(numbers(seed))
        np.testing.assert_array_equal(helios.download(same), numbers(seed))
        np.testing.assert_array_equal(helios.download(double), numbers(seed) * 2)


def test_threads_may_compute_at_once(helios: Helios) -> None:
    found: dict[int, np.ndarray] = {}

    def work(seed: int) -> None:
        x = helios.upload(numbers(seed))
        for _ in range(20):
            x = scaled(helios, x, -1.0)
        found[seed] = helios.download(x)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        np.testing.assert_array_equal(found[seed], numbers(seed))


def test_a_program_gives_its_memory_back(helios: Helios) -> None:
    x = numbers()
    helios.record(lambda x: [copied(helios, x)], [x], name="warm")(x)
    gc.collect()
    before = helios.device.memory.allocated_bytes
    for _ in range(5):
        helios.record(lambda x: [copied(helios, scaled(helios, x, 2.0))], [x], name="short-lived")(x)
    gc.collect()
    assert helios.device.memory.allocated_bytes <= before


def test_a_trace_tells_of_every_kernel(helios: Helios) -> None:
    program = helios.record(lambda x: [scaled(helios, copied(helios, x), 2.0)], [numbers()], name="traced")
    helios.start_trace()
    (out,) = program(numbers())
    spans = helios.stop_trace()
    np.testing.assert_array_equal(helios.download(out), numbers() * 2)
    assert [span.name for span in spans] == ["slow_copy", "scale"]
    assert spans[0].start + spans[0].duration <= spans[1].start + 1e-6
    assert spans[1].bytes == 8 * N
    assert helios.stop_trace() == []


def test_modules_of_plugins_are_built_anew_and_ours_are_not(helios: Helios, tmp_path: Path) -> None:
    from alpha_helios.kernels.copy import fill

    ours = KernelSpec.of(fill, type_="i32", wide=False)
    for built in (1, 0):
        compiler = Compiler(helios.device, FileCache("spirv", tmp_path))
        compiler.get(ours)
        assert compiler.built == built
    for _ in range(2):  # of a stranger's the sources may have changed
        compiler = Compiler(helios.device, FileCache("spirv", tmp_path))
        compiler.get(KernelSpec.of(scale, by=3.0))
        assert compiler.built == 1
