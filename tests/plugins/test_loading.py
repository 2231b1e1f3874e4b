"""Installed plugins: found, loaded one by one, and left out one by one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_core.errors import NotInstalledError, PluginError, UnknownNameError
from alpha_core.plugins import PluginRecord, Plugins, load_plugins

InstallPlugin = Callable[..., None]

TOKENIZERS = """
from alpha_core.descriptors import TokenizerInfo
from alpha_core.hookspecs import hookimpl

@hookimpl
def register_tokenizers():
    return [TokenizerInfo(name=name, summary="A test.", load=lambda: object) for name in {names!r}]
"""


def record_of(plugins: Plugins, name: str) -> PluginRecord:
    return next(record for record in plugins.records if record.name == name)


def test_an_installed_plugin_brings_its_parts(install_plugin: InstallPlugin) -> None:
    install_plugin("morse", TOKENIZERS.format(names=["morse", "semaphore"]), package="Alpha.Morse", version="2.5")
    plugins = load_plugins()
    assert plugins.tokenizers.get("semaphore").summary == "A test."
    assert plugins.tokenizers.owner("morse") == "morse"
    record = record_of(plugins, "morse")
    assert (record.package, record.version, record.broken) == ("alpha-morse", "2.5", None)
    assert record.registers == {"tokenizers": ("morse", "semaphore")}


BROKEN = {
    "missing_import": ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "syntax": ("def (", "SyntaxError"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "misspelled": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl\ndef register_tokeniser(): return []",
        "unknown hook `register_tokeniser`; did you mean `register_tokenizers`?",
    ),
    "unmarked": ("def register_tokenizers(): return []", "`register_tokenizers` is not marked with `@hookimpl`"),
    "signature": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl\ndef register_tokenizers(app): return []",
        "Argument(s) {'app'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "wrapper": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl(wrapper=True)\ndef register_domains(): yield",
        "`register_domains` is a hook wrapper",
    ),
    "raises": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl\ndef register_domains(): raise ValueError('no luck')",
        "ValueError: no luck",
    ),
    "text": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl\ndef register_domains(): return 'novels'",
        "`register_domains` returned `str`, not a list of `DomainInfo`",
    ),
    "items": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl\ndef register_domains(): return ['novels']",
        "`register_domains` returned an item of type `str`, not `DomainInfo`",
    ),
    "nothing": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl\ndef register_domains(): pass",
        "`register_domains` returned None, not a list of `DomainInfo`",
    ),
    "nameless": (
        TOKENIZERS.format(names=[""]),
        "`register_tokenizers` returned a tokenizer whose name is '', not text",
    ),
    "twice": (TOKENIZERS.format(names=["morse", "morse"]), "it registers tokenizer `morse` twice"),
    "commands": (
        "from alpha_core.hookspecs import hookimpl\n@hookimpl\ndef register_commands(app): app.comand('x')",
        "AttributeError: 'CommandRecorder' object has no attribute 'comand'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_recorded_with_the_reason_and_others_load(install_plugin: InstallPlugin, name: str) -> None:
    source, reason = BROKEN[name]
    install_plugin(name, source)
    install_plugin("zzz", TOKENIZERS.format(names=["sleepy"]))
    plugins = load_plugins()
    broken = record_of(plugins, name).broken
    assert broken is not None
    assert reason in broken
    assert "\n" not in broken
    assert "sleepy" in plugins.tokenizers
    assert "morse" not in plugins.tokenizers
    assert "cpu_ref" in plugins.backends


def test_a_plugin_whose_last_hook_fails_leaves_no_part_behind(install_plugin: InstallPlugin) -> None:
    hook = "\n@hookimpl\ndef register_{kind}({arguments}): raise OSError('disk gone')"
    install_plugin("early", TOKENIZERS.format(names=["one"]) + hook.format(kind="domains", arguments=""))
    install_plugin("late", TOKENIZERS.format(names=["two"]) + hook.format(kind="commands", arguments="app"))
    plugins = load_plugins()
    assert [record_of(plugins, name).broken for name in ("early", "late")] == ["OSError: disk gone"] * 2
    for name, owner in (("one", "early"), ("two", "late")):
        with pytest.raises(PluginError, match=f"tokenizer `{name}` is of plugin `{owner}` .*disk gone"):
            plugins.tokenizers.get(name)


def test_the_later_plugin_with_a_taken_name_is_refused_naming_both(install_plugin: InstallPlugin) -> None:
    install_plugin("second", TOKENIZERS.format(names=["morse", "second"]), package="b-package")
    install_plugin("first", TOKENIZERS.format(names=["morse"]), package="a-package")
    plugins = load_plugins()
    assert plugins.tokenizers.owner("morse") == "first"
    refused = record_of(plugins, "second")
    assert refused.broken == "tokenizer `morse` is already registered by plugin `first` (a-package 1.0)"
    assert "second" not in plugins.tokenizers


def test_nobody_takes_a_name_from_alpha_itself(install_plugin: InstallPlugin) -> None:
    install_plugin("aaa", TOKENIZERS.format(names=["char"]), package="aaa")
    plugins = load_plugins()
    assert plugins.tokenizers.owner("char") == "tokenizers"
    assert "alpha-tokenizers" in (record_of(plugins, "aaa").broken or "")


def test_two_plugins_of_one_name_are_refused(install_plugin: InstallPlugin) -> None:
    install_plugin("same", TOKENIZERS.format(names=["one"]), package="a-package")
    install_plugin("same", TOKENIZERS.format(names=["two"]), package="b-package")
    plugins = load_plugins()
    records = [record for record in plugins.records if record.name == "same"]
    assert records[0].broken is None
    assert records[1].broken == "the plugin name `same` is already taken by `same` (a-package 1.0)"
    assert "one" in plugins.tokenizers
    assert "two" not in plugins.tokenizers


def test_metadata_that_cannot_be_read_is_not_fatal(install_plugin: InstallPlugin, tmp_path: Path) -> None:
    install_plugin("bare", TOKENIZERS.format(names=["bare"]))
    (tmp_path / "bare_package-1.0.dist-info" / "METADATA").unlink()
    plugins = load_plugins()
    assert "bare" in plugins.tokenizers


def test_the_environment_variable_limits_loading(install_plugin: InstallPlugin) -> None:
    install_plugin("morse", TOKENIZERS.format(names=["morse"]))
    plugins = load_plugins(environ={"ALPHA_PLUGINS": " tensor, tokenizers,"})
    assert [record.name for record in plugins.records] == ["core", "tensor", "tokenizers", "cli"]
    assert "morse" in [record.name for record in plugins.skipped]
    assert plugins.notes == []
    with pytest.raises(PluginError, match=r"command `train` is of plugin `train` .*which `ALPHA_PLUGINS` leaves out"):
        raise plugins.missing("commands", "train", [])


def test_a_wrong_name_in_the_environment_variable_is_noted() -> None:
    plugins = load_plugins(environ={"ALPHA_PLUGINS": "tokenizer"})
    expected = "`ALPHA_PLUGINS` names plugin `tokenizer`, which is not installed; did you mean `tokenizers`?"
    assert plugins.notes == [expected]
    assert len(plugins.tokenizers) == 0


def test_an_empty_environment_variable_is_as_good_as_none() -> None:
    assert len(load_plugins(environ={"ALPHA_PLUGINS": ""}).tokenizers) > 0


def test_names_go_before_the_environment_and_must_exist() -> None:
    plugins = load_plugins(["tensor"], environ={"ALPHA_PLUGINS": "tokenizers"})
    assert "cpu_ref" in plugins.backends
    assert len(plugins.tokenizers) == 0
    with pytest.raises(UnknownNameError, match="plugin `tensr` is not installed") as caught:
        load_plugins(["tensr"])
    assert caught.value.hint == "did you mean `tensor`?"


def test_a_name_of_an_alpha_package_that_is_not_installed_says_what_to_install() -> None:
    plugins = Plugins()
    for registry, name, package in (
        (plugins.backends, "cpu_ref", "alpha-tensor"),
        (plugins.tokenizers, "bpe-chat-4k", "alpha-tokenizers"),
        (plugins.optimizers, "adamw", "alpha-train"),
        (plugins.activations, "gelu", "alpha-model"),
        (plugins.metric_sinks, "console", "alpha-cli"),
    ):
        with pytest.raises(NotInstalledError, match=f"`{name}` is not installed: `pip install {package}`"):
            registry.get(name)


@pytest.mark.parametrize("names", ["[]", "['tensor']", "['autograd', 'model']", "['tokenizers']", "['train']", "None"])
def test_plugins_load_without_numpy_rich_and_typer(names: str) -> None:
    """Whatever a plugin module imports, every `alpha --help` pays for."""
    code = (
        f"import sys; from alpha_core.plugins import load_plugins; plugins = load_plugins({names}); plugins.commands;"
        "print(*sorted({'numpy', 'rich', 'typer', 'cattrs', 'regex'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == []
