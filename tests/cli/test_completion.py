"""Completion: what could come next, and the shells that ask."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from alpha_cli.app import build_app
from alpha_cli.completion import SHELLS, candidates, script_of
from alpha_core.plugins import load_plugins

ALPHA = Path(sys.executable).with_name("alpha")


@pytest.fixture(scope="module")
def complete():
    plugins = load_plugins()
    root = typer.main.get_command(build_app(plugins))
    return lambda line: candidates(root, plugins, line)


def test_commands_complete_at_every_level(complete):
    assert complete("alpha tra") == ["train"]
    assert "train" in complete("alpha ")
    assert set(complete("alpha runs ")) == {"list", "best", "show", "plot", "compare", "tail"}
    assert complete("alpha runs sh") == ["show"]


def test_flags_of_settings_and_of_the_command_complete(complete):
    assert complete("alpha train --eval-int") == ["--eval-interval="]
    assert complete("alpha train --pri") == ["--print-config"]
    assert set(complete("alpha train --iters=3 --no-pack")) == {"--no-packed"}
    assert complete("alpha runs plot last --pn") == ["--png="]


def test_values_complete_where_there_is_a_list_of_them(complete):
    assert complete("alpha train --domain=pyth") == ["--domain=python"]
    assert complete("alpha train --norm=") == ["--norm=layer", "--norm=rms"]
    assert "--optimizer=adamw" in complete("alpha plan --optimizer=")
    assert complete("alpha train --iters=") == []


@pytest.mark.parametrize(
    "line", ["", "alpha nothing --x", "alpha train 'half open", "alpha train --nothing=", "alpha eval x"]
)
def test_where_nothing_is_known_nothing_is_said(complete, line):
    assert complete(line) in ([], complete("alpha "))


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(shell):
    printed = subprocess.run([ALPHA, "completion", shell], capture_output=True, text=True, check=True).stdout
    assert printed == script_of(shell)
    assert "alpha completion candidates" in printed


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("alpha tra", ["train"]),
        ("alpha train --domain=pyt", ["python"]),
        ("alpha train --eval-int", ["--eval-interval="]),
    ],
)
def test_bash_completes(line, replies):
    lines = [
        "source <(alpha completion bash)",
        f"COMP_LINE='{line}'; COMP_POINT={len(line)}",
        "_alpha_completion 2>/dev/null",
        "printf '%s\\n' \"${COMPREPLY[@]}\"",
    ]
    environ = {**os.environ, "PATH": f"{ALPHA.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.split() == replies


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_the_scripts_are_valid_in_the_shells_that_are_here(shell):
    subprocess.run([shell, "-n"], input=script_of(shell), text=True, check=True)
