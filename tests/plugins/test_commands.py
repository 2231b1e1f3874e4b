"""Commands as core sees them: recorded, without a command line, and refused when they clash."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from alpha_core.command import CommandApp, CommandInfo
from alpha_core.errors import PluginError, UnknownNameError
from alpha_core.hookspecs import hookimpl
from alpha_core.plugins import Plugins


def commanding(add: Callable[[CommandApp], None]) -> object:
    @hookimpl
    def register_commands(app: CommandApp) -> None:
        add(app)

    return SimpleNamespace(register_commands=register_commands)


def adding(*path: str) -> object:
    def add(app: CommandApp) -> None:
        for group in path[:-1]:
            app = app.group(group, help=f"Group {group}.")
        app.command(path[-1], help="A test.")(print)

    return commanding(add)


def test_commands_are_recorded_with_their_groups_and_owner() -> None:
    plugins = Plugins()
    plugins.register(adding("plugins", "polish"), name="wax")
    (info,) = plugins.commands
    assert info == CommandInfo(
        path=("plugins", "polish"),
        help="A test.",
        function=print,
        plugin="wax",
        groups=(("plugins", "Group plugins."),),
    )
    assert plugins.records[0].registers == {"commands": ("plugins polish",)}


def test_plugins_are_asked_for_commands_only_when_somebody_wants_them() -> None:
    asked = []
    plugins = Plugins()
    plugins.register(commanding(lambda app: asked.append(app.plugins)), name="lazy")
    assert asked == []
    assert plugins.commands == ()
    assert plugins.commands == ()
    assert asked == [plugins]


def test_several_plugins_share_a_group() -> None:
    plugins = Plugins()
    plugins.register(adding("plugins", "polish"), name="wax")
    plugins.register(adding("plugins", "scratch"), name="cat")
    assert [info.name for info in plugins.commands] == ["plugins polish", "plugins scratch"]


@pytest.mark.parametrize("path", [("plugins", "polish"), ("plugins",), ("plugins", "polish", "twice")])
def test_a_command_that_clashes_with_an_earlier_one_breaks_its_plugin(path: tuple[str, ...]) -> None:
    plugins = Plugins()
    plugins.register(adding("plugins", "polish"), name="wax")
    plugins.register(adding(*path), name="copy")
    broken = {record.name: record.broken for record in plugins.records}
    assert broken["wax"] is None
    assert broken["copy"] == f"command `{' '.join(path)}` clashes with command `plugins polish` of plugin `wax`"
    assert [info.plugin for info in plugins.commands] == ["wax"]


def test_a_missing_command_of_a_broken_plugin_says_so() -> None:
    plugins = Plugins()
    plugins.register(adding("polish"), name="wax")

    def half_way(app: CommandApp) -> None:
        app.command("scratch", help="A test.")(print)
        raise RuntimeError("claws")

    plugins.register(commanding(half_way), name="cat")
    assert [info.name for info in plugins.commands] == ["polish"]
    error = plugins.missing("commands", "scratch", ["polish"])
    assert isinstance(error, PluginError)
    assert error.message == "command `scratch` is of plugin `cat`, which is broken: RuntimeError: claws"
    other = plugins.missing("commands", "fly", ["polish"])
    assert isinstance(other, UnknownNameError)
    assert other.hint == "some plugins are broken (`cat`); `alpha plugins list` tells more"
