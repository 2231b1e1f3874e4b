"""`alpha plugins list`: for people, for pipes and for programs."""

import json
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

import alpha_cli.plugin
from alpha_cli.plugins_command import describe_plugins
from alpha_core.descriptors import TokenizerInfo
from alpha_core.hookspecs import hookimpl
from alpha_core.plugins import Plugins, load_plugins
from alpha_core.tokenizer import Tokenizer

RunCommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def plugins(plugins: Plugins) -> Plugins:
    """The command line itself, a plugin with an unavailable part, and one whose command hook fails."""

    @hookimpl
    def register_tokenizers() -> Sequence[TokenizerInfo]:
        def part(name: str, reason: str | None) -> TokenizerInfo:
            return TokenizerInfo(
                name=name, summary=f"The {name} code.", load=lambda: Tokenizer, unavailable=lambda: reason
            )

        return [part("morse", None), part("enigma", "the rotors are missing")]

    @hookimpl
    def register_commands(app: object) -> None:
        raise RuntimeError("no [claws]")

    plugins.register(alpha_cli.plugin, name="cli")
    plugins.register(SimpleNamespace(register_tokenizers=register_tokenizers), name="codes")
    plugins.register(SimpleNamespace(register_commands=register_commands), name="cat")
    return plugins


COMMANDS = (
    *("plugins list", "config init", "config show", "config check"),
    *("completion bash", "completion zsh", "completion fish", "completion candidates"),
)
"""Of the plugin `cli`."""


def test_a_pipe_gets_aligned_lines(plugins: Plugins, run: RunCommandLine) -> None:
    code, out, err = run("plugins", "list")
    assert (code, err) == (0, "")
    state = " " * len("; enigma unavailable: the rotors are missing")
    assert out.splitlines() == [
        "plugin  version  state                                           registers",
        f"cli              ok{state}  metric_sinks: console; commands: {', '.join(COMMANDS)}",
        "codes            ok; enigma unavailable: the rotors are missing  tokenizers: morse, enigma",
        "cat              broken: RuntimeError: no [claws]",
    ]


def test_a_terminal_gets_a_table(plugins: Plugins, run: RunCommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, _ = run("plugins", "list")
    assert code == 0
    for text in ("plugin", "codes", "tokenizers: morse, enigma", "enigma unavailable", "no [claws]", "│"):
        assert text in out


def test_programs_get_json(plugins: Plugins, run: RunCommandLine) -> None:
    code, out, _ = run("plugins", "list", "--json")
    described = {entry["plugin"]: entry for entry in json.loads(out)}
    assert code == 0
    assert described["codes"] == {
        "plugin": "codes",
        "package": None,
        "version": None,
        "state": "ok",
        "reason": None,
        "registers": {"tokenizers": ["morse", "enigma"]},
        "unavailable": [{"kind": "tokenizers", "name": "enigma", "reason": "the rotors are missing"}],
    }
    assert described["cat"]["state"] == "broken"
    assert described["cat"]["reason"] == "RuntimeError: no [claws]"


@pytest.mark.parametrize("kind", ["tokenizers", "tokenizer", "Tokenizers"])
def test_a_kind_lists_its_parts(plugins: Plugins, run: RunCommandLine, kind: str) -> None:
    code, out, _ = run("plugins", "list", "--kind", kind)
    assert code == 0
    assert out.splitlines() == [
        "name    plugin  state                                summary",
        "morse   codes   ok                                   The morse code.",
        "enigma  codes   unavailable: the rotors are missing  The enigma code.",
    ]


@pytest.mark.parametrize(("kind", "name"), [("metric-sink", "console"), ("commands", "plugins list")])
def test_kinds_in_json(plugins: Plugins, run: RunCommandLine, kind: str, name: str) -> None:
    code, out, _ = run("plugins", "list", f"--kind={kind}", "--json")
    part, *_ = json.loads(out)
    assert code == 0
    assert (part["name"], part["plugin"], part["state"], part["reason"]) == (name, "cli", "ok", None)


def test_an_unknown_kind_is_refused(plugins: Plugins, run: RunCommandLine) -> None:
    code, out, err = run("plugins", "list", "--kind=tokeniser")
    assert (code, out) == (2, "")
    assert "unknown kind `tokeniser`" in err
    assert "did you mean `tokenizers`?" in err


def test_a_plugin_that_is_left_out_is_listed() -> None:
    limited = load_plugins(environ={"ALPHA_PLUGINS": "tensor"})
    states = {entry["plugin"]: (entry["state"], entry["reason"]) for entry in describe_plugins(limited)}
    assert states["tensor"] == ("ok", None)
    assert states["tokenizers"] == ("left out", "`ALPHA_PLUGINS` does not name it")
