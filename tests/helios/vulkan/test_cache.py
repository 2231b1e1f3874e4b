"""What is kept on disk."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.helios.vulkan.kernels import add_kernel, groups, push

from alpha_core.file_cache import FileCache
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM, NullDevice
from alpha_helios.vulkan.pipeline_cache import PipelineCache, cache_key
from alpha_helios.vulkan.tuning_cache import TuningCache

ROOT = Path(__file__).parents[3]
COMPILE = """
from alpha_helios.vulkan.device import Device
from tests.helios.vulkan.kernels import add_kernel
with Device(validate=False) as device:
    for number in range({first}, {first} + {count}):
        device.prepare([add_kernel(float(number), f"add {{number}}")])
        device._cache.save()
        print(number, flush=True)
"""


def start(folder: Path, first: int, count: int) -> "subprocess.Popen[str]":
    """Starts a process that compiles kernels and saves the cache after each."""
    return subprocess.Popen(
        [sys.executable, "-c", COMPILE.format(first=first, count=count)],
        cwd=ROOT,
        env={**os.environ, "ALPHA_CACHE": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def works(device) -> None:
    """Checks that kernels compile and run."""
    pipeline = device.prepare([add_kernel(3.0, "three")])[0]
    with device.memory.allocate(4) as place:
        device.staging.upload(place, np.zeros(1, np.float32))
        commands = device.record("adding")
        commands.dispatch(pipeline, push(place, 1), groups(1))
        device.submit(commands)
        assert np.frombuffer(device.staging.download(place), np.float32)[0] == 3


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_damaged_files_are_as_good_as_none(open_device, tmp_path):
    files = FileCache("pipelines", tmp_path / "cache")
    device = open_device(pipeline_files=files)
    key = cache_key(device.info)
    works(device)
    files.write(key, b"what no driver has written")  # whole, and nonsense to the driver
    works(open_device(pipeline_files=files))
    for damage in (b"", b"short", os.urandom(10_000)):
        for path in stored(tmp_path / "cache"):
            path.write_bytes(damage)
        works(open_device(pipeline_files=files))


class KeepingDriver:
    """A driver whose pipeline caches have contents: each pipeline adds a word, and merging adds up words."""

    def __init__(self, device: NullDevice) -> None:
        self.ffi = device._logical.vulkan.ffi
        self.caches: dict[int, set[bytes]] = {}
        self.made = 0
        functions = device._driver._functions
        functions["vkCreatePipelineCache"] = self.create
        functions["vkCreateComputePipelines"] = self.compile
        functions["vkMergePipelineCaches"] = self.merge
        functions["vkGetPipelineCacheData"] = self.read

    def number(self, handle: object) -> int:
        return int(self.ffi.cast("uintptr_t", handle))

    def create(self, _device, info, _allocator, out) -> int:
        self.made += 1
        out[0] = self.ffi.cast("VkPipelineCache", self.made)
        self.caches[self.made] = set(bytes(self.ffi.buffer(info.pInitialData, info.initialDataSize)).split())
        return 0

    def compile(self, _device, cache, *_) -> int:
        words = self.caches[self.number(cache)]
        words.add(f"pipeline-{len(words)}-of-driver-{id(self)}".encode())
        return 0

    def merge(self, _device, target, count, sources) -> int:
        for source in sources[0:count]:
            self.caches[self.number(target)] |= self.caches[self.number(source)]
        return 0

    def read(self, _device, cache, size, data) -> int:
        contents = b" ".join(sorted(self.caches[self.number(cache)]))
        if data == self.ffi.NULL:
            size[0] = len(contents)
        else:
            self.ffi.memmove(data, contents, size[0])
        return 0


def test_what_several_processes_compiled_adds_up(tmp_path):
    files = FileCache("pipelines", tmp_path)

    def opened() -> tuple[NullDevice, KeepingDriver, PipelineCache]:
        device = NullDevice()
        driver = KeepingDriver(device)
        cache = device.pipelines._cache = PipelineCache(device._logical, files)
        return device, driver, cache

    first, second = opened(), opened()
    for amount, (device, _, cache) in enumerate([first, second, first]):
        device.prepare([add_kernel(float(amount))])
        cache.save()
    device, driver, cache = opened()
    assert len(driver.caches[driver.number(cache.handle)]) == 3
    assert cache.loaded_bytes > 32
    for one, _, _ in (first, second, (device, driver, cache)):
        one.close()


def test_a_folder_that_cannot_be_written_is_no_obstacle(open_device, tmp_path):
    (tmp_path / "file").write_text("in the way")
    device = open_device(pipeline_files=FileCache("pipelines", tmp_path / "file" / "cache"))
    works(device)


def test_processes_may_share_the_cache_and_be_killed_in_the_middle(open_device, tmp_path):
    processes = [start(tmp_path, 100 * number, 4) for number in range(2)]
    victim = start(tmp_path, 1000, 200)
    assert victim.stdout is not None
    victim.stdout.readline()
    time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    victim.stdout.close()
    for process in processes:
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        assert len(printed.split()) == 4
    works(open_device(pipeline_files=FileCache("pipelines", tmp_path / "pipelines", suffix=".bin")))
    whole = [path for path in stored(tmp_path) if path.suffix == ".bin"]
    assert all(FileCache("pipelines", tmp_path / "pipelines", suffix=".bin").read(path.stem) for path in whole)


def test_what_was_tuned_is_known_to_the_next_process_for_the_same_device_alone(tmp_path):
    files = FileCache("tuning", tmp_path)
    TuningCache(NULL_GPU, files).write("matmul 64x64", {"variant": "wide", "seconds": 1e-5})
    assert TuningCache(NULL_GPU, files).read("matmul 64x64") == {"variant": "wide", "seconds": 1e-5}
    assert TuningCache(NULL_GPU, files).read("matmul 64x65") is None
    assert TuningCache(NULL_MINIMUM, files).read("matmul 64x64") is None


@pytest.mark.parametrize("damage", [b"", b"ALPHAOBJ", os.urandom(500)])
def test_a_damaged_record_is_none(tmp_path, damage):
    files = FileCache("tuning", tmp_path)
    TuningCache(NULL_GPU, files).write("matmul", {"variant": "wide"})
    for path in stored(tmp_path):
        path.write_bytes(damage)
    assert TuningCache(NULL_GPU, files).read("matmul") is None


@pytest.mark.parametrize("contents", [b"[1]", b"{", b'{"key": "other", "value": {}}', b'{"key": "matmul", "value": 3}'])
def test_a_record_of_another_shape_is_none(tmp_path, contents):
    files = FileCache("tuning", tmp_path)
    cache = TuningCache(NULL_GPU, files)
    files.write(cache._file("matmul"), contents)
    assert cache.read("matmul") is None


def test_tuning_lasts_as_long_as_the_process_where_the_disk_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = TuningCache(NULL_GPU, FileCache("tuning", tmp_path / "file" / "cache"))
    cache.write("matmul", {"variant": "wide"})
    assert cache.read("matmul") == {"variant": "wide"}


def test_threads_may_write_the_same_record(tmp_path):
    files = FileCache("tuning", tmp_path)

    def write(number: int) -> None:
        TuningCache(NULL_GPU, files).write("matmul", {"variant": str(number)})
        assert TuningCache(NULL_GPU, files).read("matmul") is not None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100)))
