"""`alpha plugins check` runs the kits on what an installed plugin registers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = """
from alpha_core.descriptors import ActivationInfo, BackendInfo, ScheduleInfo
from alpha_core.hookspecs import hookimpl


def half(step, config):
    return config.lr / 2


def twice(step, config):
    return config.lr * 2


def activation():
    from alpha_core.expression import X, sigmoid
    return X * sigmoid(1.702 * X)


def missing():
    import a_module_that_nobody_has


@hookimpl
def register_schedules():
    return [{schedules}]


@hookimpl
def register_activations():
    return [ActivationInfo(name="quick_gelu", summary="x sigmoid(1.702 x)", load=activation)]


@hookimpl
def register_backends():
    return [BackendInfo(name="abacus", summary="beads", load=missing, unavailable=lambda: "no beads here")]
"""
HALF = 'ScheduleInfo(name="half", summary="half", load=lambda: half)'
TWICE = 'ScheduleInfo(name="twice", summary="too much", load=lambda: twice)'
UNLOADABLE = 'ScheduleInfo(name="unloadable", summary="broken", load=missing)'


def check(folder: Path, plugin: str, *schedules: str) -> subprocess.CompletedProcess[str]:
    """Installs a plugin `beads` into a folder and checks a plugin from the command line."""
    (folder / "beads_plugin.py").write_text(PLUGIN.replace("{schedules}", ", ".join(schedules)))
    metadata = folder / "beads-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: beads\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text("[alpha]\nbeads = beads_plugin\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "alpha_cli", "plugins", "check", plugin],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_sound_plugin_passes(tmp_path: Path) -> None:
    result = check(tmp_path, "beads", HALF)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "plugin `beads` (beads 1.2)",
        "  backend `abacus`: not checked, it is unavailable here: no beads here",
        "  activation `quick_gelu`: 7 passed",
        "  schedule `half`: 27 passed",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beads-1.2.dist-info", "beads_plugin.py"]


def test_a_faulty_plugin_fails_and_the_tests_are_named(tmp_path: Path) -> None:
    result = check(tmp_path, "beads", HALF, TWICE)
    assert result.returncode == 1
    assert "  schedule `half`: 27 passed" in result.stdout
    assert "  schedule `twice`: 9 failed, 18 passed\n    test_rates[default]: AssertionError: step 1: " in result.stdout
    assert result.stderr.strip() == "error: plugin `beads` does not pass the conformance kit"


def test_a_part_that_cannot_be_loaded_fails_and_the_others_are_checked(tmp_path: Path) -> None:
    result = check(tmp_path, "beads", HALF, UNLOADABLE)
    assert result.returncode == 1
    assert "  schedule `half`: 27 passed" in result.stdout
    assert "  schedule `unloadable`: 1 failed\n    test_loads: " in result.stdout
    assert "a_module_that_nobody_has" in result.stdout


def test_an_unknown_plugin_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    result = check(tmp_path, "bead", HALF)
    assert result.returncode == 2
    assert "hint: did you mean `beads`?" in result.stderr


def test_a_broken_plugin_is_refused_with_the_reason(tmp_path: Path) -> None:
    result = check(tmp_path, "beads", HALF, HALF)
    assert result.returncode == 3
    assert "plugin `beads` (beads 1.2) is broken: it registers schedule `half` twice" in result.stderr


@pytest.mark.parametrize("plugin", ["testkit", "core"])
def test_a_plugin_without_parts_has_nothing_to_check(tmp_path: Path, plugin: str) -> None:
    result = check(tmp_path, plugin, HALF)
    assert result.returncode == 0
    assert "nothing to check" in result.stdout
