"""Machines without Vulkan, or without a GPU: each in a process of its own, whose loader finds less."""

import subprocess
import sys

import pytest

BLOCK_LIBRARY = "import sys; from alpha_helios.vulkan import loader; loader._LIBRARIES[sys.platform] = ('libnone.so',)"
BLOCK_PACKAGE = "from alpha_helios.vulkan import loader; loader.find_spec = lambda name: None"
OLD_LOADER = (
    "from alpha_helios.vulkan.instance import Instance; Instance._loader_version = lambda self: (1 << 22) + (1 << 12)"
)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (
            BLOCK_LIBRARY,
            "there is no Vulkan loader (`libnone.so`) on this machine; it comes with the driver of the GPU",
        ),
        (BLOCK_PACKAGE, "the package `vulkan` is not installed; `pip install alpha-helios` brings it"),
    ],
)
def test_listing_says_what_is_missing(block, reason):
    printed = run(
        f"{block}\n"
        "from alpha_core.plugins import load_plugins\n"
        "plugins = load_plugins()\n"
        "print({info.name: info for info in plugins.backends}['helios'].unavailable())\n"
        "print(plugins.choose_backend().name)\n"
    ).splitlines()
    assert printed[0].startswith(reason)
    assert printed[1] == "cpu"


def test_listing_opens_no_device(device_available):
    assert (
        run(
            "from alpha_core.plugins import load_plugins\n"
            "from alpha_helios.vulkan.instance import Instance\n"
            "def refuse(self): raise AssertionError('opened')\n"
            "Instance._create = refuse\n"
            "print({info.name: info for info in load_plugins().backends}['helios'].unavailable())\n"
        )
        == "None"
    )


UNSUITED = "from alpha_helios import plugin; from alpha_helios.vulkan import probe; probe.without_gpu = lambda: False\n"


def test_auto_never_takes_a_software_device(device_available):
    printed = run(
        UNSUITED
        + "from alpha_helios.vulkan.probe import choose_device\n"
        + "print(choose_device().kind, plugin._unsuited(), sep='|')\n"
        + "from alpha_core.plugins import load_plugins\n"
        + "print(load_plugins().choose_backend().name)"
    )
    kind, reason, name = printed.replace("\n", "|").split("|")
    assert (reason.endswith("computes on the processor") and name == "cpu") if kind == "cpu" else name == "helios"


def test_auto_takes_a_real_gpu():
    assert (
        run(
            UNSUITED
            + "import attrs\n"
            + "from alpha_helios.vulkan.null_device import NULL_GPU\n"
            + "probe.choose_device = lambda: attrs.evolve(NULL_GPU, kind='discrete')\n"
            + "from alpha_helios.vulkan import loader; loader.vulkan = lambda: None\n"
            + "from alpha_core.plugins import load_plugins\n"
            + "print(load_plugins().choose_backend().name)"
        )
        == "helios"
    )


def test_without_a_driver_there_is_no_device(device_available):
    hidden = "import os; os.environ['VK_DRIVER_FILES'] = os.environ['VK_ICD_FILENAMES'] = '/nowhere.json'\n"
    reason = run(hidden + UNSUITED + "print(plugin._unsuited())")
    assert reason in (
        "there is no Vulkan device on this machine",
        "there is no Vulkan driver on this machine that works",
    )


def test_an_old_loader_is_refused(device_available):
    assert run(UNSUITED + OLD_LOADER + "\nprint(plugin._unsuited())") == (
        "the Vulkan loader of this machine is version 1.1.0; 1.2 is needed"
    )
