"""`alpha gpuinfo`: on the device that is there, on devices of other kinds, and on machines without Vulkan."""

import json
import subprocess
import sys
from collections.abc import Sequence

import attrs
import pytest

from alpha_helios.fast_paths import FAST_PATHS
from alpha_helios.gpuinfo import Automatic, GpuReport, PathState
from alpha_helios.gpuinfo_text import report_lines
from alpha_helios.vulkan.device_info import CooperativeShape
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM
from alpha_helios.vulkan.probe import choose_device, list_devices

NO_LOADER = "import sys; from alpha_helios.vulkan import loader; loader._LIBRARIES[sys.platform] = ('libnone.so',)\n"
GIGABYTE = 1 << 30


def gpuinfo(*arguments: str, before: str = "") -> str:
    """Runs the command in a process of its own, and returns what it prints; it has nothing else to say."""
    code = f"{before}\nfrom alpha_cli.main import main\nraise SystemExit(main({['gpuinfo', *arguments]!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_device_that_is_used_is_told_with_its_paths(device_available: None) -> None:
    text, used = gpuinfo(), choose_device()
    assert f"device {used.index}: {used.name} ({used.kind}), which `helios` uses\n" in text
    assert f"  driver           {used.driver}\n  Vulkan           {used.api}\n" in text
    for path in FAST_PATHS:
        assert f"  path {path.name:<11} on: {path.described(used)}\n" in text or f"  path {path.name:<11} off: " in text
    if used.kind == "cpu":
        assert "`--backend=auto` takes `cpu`: " in text


def test_a_path_tells_what_of_it_a_device_cannot_do() -> None:
    path = next(path for path in FAST_PATHS if path.name == "coop2")
    stay, bring = "scores of attention stay in matrices", "the device brings what workgroups multiply"
    assert path.described(NULL_GPU) == f"{path.summary}; {stay}; {bring}"
    fewer = attrs.evolve(NULL_GPU, features=NULL_GPU.features - {"cooperativeMatrixTensorAddressing"})
    reason = "the device lacks `cooperativeMatrixTensorAddressing`"
    assert path.described(fewer) == f"{path.summary}; {stay}; not here: {bring}, for which {reason}"


def test_json_has_all_of_it(device_available: None) -> None:
    report, devices = json.loads(gpuinfo("--json")), list_devices()
    assert report["used"] == choose_device().index
    assert report["problem"] is None
    assert [path["name"] for path in report["paths"]] == [path.name for path in FAST_PATHS]
    for shown, info in zip(report["devices"], devices, strict=True):
        assert shown["name"] == info.name
        assert shown["api"] == info.api
        assert shown["subgroupSize"] == info.subgroup_size
        assert shown["limits"]["sharedMemory"] == info.limits.shared_memory
        assert len(shown["cooperativeShapes"]) == len(info.cooperative_shapes)
        assert shown["features"] == sorted(info.features)
        assert [heap["bytes"] for heap in shown["heaps"]] == [heap.nbytes for heap in info.heaps]
        if "VK_EXT_memory_budget" in info.extensions:
            assert all(heap["budget"] > 0 for heap in shown["heaps"] if heap["deviceLocal"])


def test_a_path_that_is_not_wanted_is_off_for_that_reason(
    device_available: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", "subgroups")
    assert "  path subgroups   off: `ALPHA_HELIOS_DISABLE` names it\n" in gpuinfo()


def test_a_machine_without_a_loader_is_told_why_nothing_works() -> None:
    lines = gpuinfo(before=NO_LOADER).splitlines()
    assert lines[0].startswith("`helios` does not work here: there is no Vulkan loader (`libnone.so`) on this machine")
    assert lines[1].startswith("`--backend=auto` takes `cpu`: there is no Vulkan loader")
    report = json.loads(gpuinfo("--json", before=NO_LOADER))
    assert report["devices"] == report["paths"] == []
    assert report["used"] is None
    assert report["problem"].startswith("there is no Vulkan loader")
    assert report["auto"]["backend"] == "cpu"


def test_a_device_that_is_not_there_is_a_problem_beside_those_that_are(
    device_available: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_DEVICE", "radeon")
    lines = gpuinfo().splitlines()
    assert lines[0].startswith("`helios` does not work here: no Vulkan device is `radeon`; there are 0: ")
    assert lines[1].startswith("device 0: ")
    assert not any("which `helios` uses" in line for line in lines)


def report(automatic: Automatic, paths: Sequence[PathState] = (), limit: int | None = None) -> GpuReport:
    gpu = attrs.evolve(
        NULL_GPU,
        name="Big GPU",
        kind="discrete",
        subgroup_sizes=(32, 64),
        cooperative_shapes=(
            CooperativeShape(16, 16, 16, "f16", "f16", "f32", "f32", "subgroup", False),
            CooperativeShape(16, 8, 16, "f16", "f16", "f32", "f32", "subgroup", False),
        ),
    )
    second = attrs.evolve(NULL_MINIMUM, index=1, name="Small GPU", kind="integrated")
    third = attrs.evolve(NULL_MINIMUM, index=2, name="Old GPU", kind="integrated", features=frozenset())
    budgets = ((20 * GIGABYTE,), None, None)
    return GpuReport((gpu, second, third), budgets, 0, None, paths, automatic, limit)


def test_several_devices_as_people_read_them() -> None:
    states = (PathState("one", "it is fast", None), PathState("other", "it is faster", "the device is slow"))
    text = "\n".join(report_lines(report(Automatic("helios", None), states, 8 * GIGABYTE)))
    for line in (
        "device 0: Big GPU (discrete), which `helios` uses",
        "  memory           24.00 GiB of the device, 20.00 GiB for this process",
        "                   at most 8.00 GiB by `ALPHA_HELIOS_MEMORY_BYTES`",
        "  subgroups        32, or 32 to 64",
        "  matrices (KHR)   f16 x f16 + f32 -> f32 (subgroup): 16x16x16, 16x8x16",
        "                   f16 x f16 + f32 -> f32 (workgroup of 128): multiples of 16x16x16",
        "  path one         on: it is fast",
        "  path other       off: the device is slow",
        "device 1: Small GPU (integrated)",
        "  fast paths       `ALPHA_HELIOS_DEVICE=1 alpha gpuinfo` tests them",
        "device 2: Old GPU (integrated)",
        "  not usable       it lacks `bufferDeviceAddress`, `timelineSemaphore`",
        "`--backend=auto` takes `helios`",
    ):
        assert line in text.splitlines()
    assert text.count("tests them") == 1


def test_what_automatic_choice_comes_to() -> None:
    assert (
        list(report_lines(report(Automatic("cpu", "it goes first"))))[-1]
        == "`--backend=auto` takes `cpu`: it goes first"
    )
    assert list(report_lines(report(Automatic(None, "no luck"))))[-1] == "`--backend=auto` finds nothing: no luck"
