"""The Python that the documentation shows runs and prints what it says; its commands have the flags they use."""

import doctest
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import PAGES, Block, blocks, name_of

from alpha_cli.commands import GIVEN_SETTINGS, Command
from alpha_cli.main import main
from alpha_core import Plugins
from alpha_core.config import load_config

PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]


def command_lines() -> list[tuple[str, str]]:
    """Every `alpha ...` behind a `$` in a code block, with where it stands, but for those whose error is shown."""
    found = []
    for block in [block for page in PAGES for block in blocks(page)]:
        for match in re.finditer(r"^\$ (.+)$", block.code, re.MULTILINE):
            line = block.line + block.code.count("\n", 0, match.start())
            if "\nerror: " not in block.code[match.end() : match.end() + 8]:
                found.append((f"{name_of(block.page)}:{line}", match[1]))
    return found


def alpha_calls(line: str) -> list[list[str]]:
    """Returns the arguments of each call of `alpha` in a line of shell."""
    calls = []
    for part in re.split(r"\s[|]\s", line):
        words = [word for word in shlex.split(re.split(r"\s(?:<|>>?)\s", part)[0]) if not re.match(r"[A-Z_]+=", word)]
        if words[0] in ("alpha", "./alpha"):
            calls.append(words[1:])
    return calls


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_runs(block: Block, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if ">>> " in block.code:
        test = doctest.DocTestParser().get_doctest(block.code, {}, str(block), str(block.page), block.line)
        assert doctest.DocTestRunner().run(test).failed == 0, capsys.readouterr().out
        return
    exec(compile("\n" * (block.line - 1) + block.code, block.page, "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out.splitlines()
    for said in re.findall(r"^ *print\(.*\)  # (.+)$", block.code, re.MULTILINE):
        assert said in printed


@pytest.mark.parametrize(("place", "line"), command_lines())
def test_commands_have_the_flags_that_are_shown(
    place: str, line: str, plugins: Plugins, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contexts: list[Any] = []
    monkeypatch.setattr(Command, "invoke", lambda self, context: contexts.append(context))
    for call in alpha_calls(line):
        assert main(call) == 0, capsys.readouterr().err
        context = contexts.pop()
        settings = context.meta.get(GIVEN_SETTINGS, {})
        domain = context.params.get("domain")
        load_config(domain=domain, domain_config=lambda name: plugins.domains.get(name).load(), flags=settings)


def test_examples_of_help_texts_have_flags_that_exist(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(Command, "invoke", lambda self, context: ran.append(context.command_path))
    examples = [(info, example) for info in plugins.commands for example in info.examples]
    for _, example in examples:
        for call in alpha_calls(example):
            assert main(call) == 0, capsys.readouterr().err
    assert {f"alpha {info.name}" for info, _ in examples} <= set(ran)
    assert len(examples) > 5


def test_there_is_enough_to_run() -> None:
    assert len(PYTHON) > 25
    assert len(command_lines()) > 25
