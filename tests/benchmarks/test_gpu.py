"""The suite `gpu`: its cases, that it refuses a processor, and Alpha's part of it on the device that is here."""

import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import attrs
import pytest
from benchmarks.contest import Contest
from benchmarks.entrant import Entrant, alpha, pytorch_cuda
from benchmarks.gpu import gpu, gpu_cases
from benchmarks.render import table_of
from benchmarks.suites import ALL, SUITES
from benchmarks.worker import Worker, WorkerError

from alpha_bench.report import Report
from alpha_bench.result import FAILED, IMPLEMENTATION, OK, Result
from alpha_core.errors import DataError
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.loader import reason_unavailable
from alpha_helios.vulkan.null_device import NULL_GPU
from benchmarks import gpu as suite

PROCESSOR = attrs.evolve(NULL_GPU, name="llvmpipe", kind="cpu")


def refused(entrant: Entrant) -> Worker:
    raise WorkerError(f"{entrant.name}: there is no CUDA device")


def only_alpha(entrant: Entrant) -> Worker:
    if entrant.module != "alpha":
        return refused(entrant)
    return Worker(entrant, [sys.executable, "-m", "benchmarks.peers.alpha"])


def quiet(open_worker: Callable[[Entrant], Worker]) -> Contest:
    return Contest(open=open_worker, rounds=1, seconds=0.0, tell=lambda line: None)


def using(info: DeviceInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "choose_device", lambda: info)


def test_the_cases_are_those_that_were_asked_for() -> None:
    small, gpt2, product = gpu_cases()
    assert [small.parameters[key] for key in ("n_layer", "n_embd", "n_head", "block_size", "vocab_size")] == [
        *(6, 256, 8, 256, 2000),
    ]
    assert (small.parameters["batch_size"], small.parameters["precision"]) == (16, "bf16")
    assert [gpt2.parameters[key] for key in ("n_layer", "n_embd", "block_size", "batch_size")] == [12, 768, 1024, 16]
    assert gpt2.work["tokens"] == 16 * 1024
    assert product.work["flops"] == 20 * 2 * 4096**3
    assert len({case.id for case in (small, gpt2, product)}) == 3


def test_a_processor_is_refused_unless_it_is_only_tried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    using(PROCESSOR, monkeypatch)
    with pytest.raises(DataError, match="the suite `gpu` needs a GPU, and `llvmpipe` computes on the processor"):
        next(gpu(quiet(refused)))
    assert "gpu" in SUITES
    assert "gpu" not in ALL


def test_everybody_takes_part_and_who_cannot_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    using(NULL_GPU, monkeypatch)
    results = [*chain.from_iterable(gpu(quiet(refused), quick=True))]
    assert {result.status for result in results} == {FAILED}
    names = {result.implementation for result in results}
    assert names == {
        IMPLEMENTATION,
        *("pytorch eager", "pytorch compile", "pytorch compile, CUDA graphs", "pytorch cublas"),
    }
    assert all("there is no CUDA device" in str(result.reason) for result in results)
    (product,) = gpu(quiet(refused), ("product",), quick=True)
    assert [result.id for result in product] == ["product-64-f16"] * 2


def test_alpha_computes_its_part_on_the_device_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # what is measured here is nobody's
    reason = reason_unavailable()
    if reason is not None:
        pytest.skip(f"no Vulkan device: {reason}")
    found = chain.from_iterable(gpu(quiet(only_alpha), quick=True))
    results = [result for result in found if result.implementation == IMPLEMENTATION]
    assert [(result.status, result.reason) for result in results] == [(OK, None)] * 2
    train, product = results
    assert train.extra["backend"] == "helios"
    assert str(train.extra["device"]).startswith("helios (")
    assert 0 < train.extra["host_seconds"] < min(train.samples)
    assert "gemm" in train.extra["kernels"]
    assert product.extra["element"] == 1.0
    assert train.extra["settings"] == "backend helios"  # without `--quick` it is tuned, which takes long here


def test_peers_are_told_of_the_card() -> None:
    entrant = pytorch_cuda("compile, CUDA graphs")
    assert entrant.settings["device"] == "cuda"
    assert entrant.environment == "pytorch"
    assert alpha(backend="helios").environment is None


def test_the_table_has_rates_and_what_the_host_takes() -> None:
    step = {"suite": "gpu", "id": "6x256-bf16", "work": {"tokens": 4096}}
    product = {"suite": "gpu", "id": "product-4096-f16", "work": {"flops": 2e12}}
    results = [
        Result.of(**step, samples=(0.002, 0.002), extra={"host_seconds": 2e-4, "kernels": "gemm 40%"}),  # type: ignore[arg-type]
        Result.of(**step, samples=(0.004, 0.004), implementation="pytorch eager", extra={"mode": "eager"}),  # type: ignore[arg-type]
        Result.of(**product, samples=(0.01, 0.01)),  # type: ignore[arg-type]
        Result.of(**product, samples=(0.005, 0.005), implementation="pytorch cublas", extra={"mode": "cublas"}),  # type: ignore[arg-type]
    ]
    table = table_of("gpu", Report.here(command="python -m benchmarks gpu", results=results))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:4]]
    assert rows == [
        [
            "6x256-bf16",
            "2,048,000 tokens/s ±0.0%, 2 ms, host 0.2 ms",
            "1,024,000 tokens/s ±0.0%, 4 ms<br>2.00x",
            "",
            "**2.00** (2.00 to 2.00)",
        ],
        [
            "product-4096-f16",
            "200 TFLOP/s ±0.0%",
            "",
            "400 TFLOP/s ±0.0%<br>0.50x",
            "**0.50** (0.50 to 0.50)",
        ],
    ]
    assert "- 6x256-bf16: gemm 40%" in table
