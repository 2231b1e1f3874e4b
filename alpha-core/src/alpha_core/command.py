"""Commands: what `register_commands` is given, and what it leaves behind."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

if TYPE_CHECKING:
    from alpha_core.plugins import Plugins

__all__ = ["CommandApp", "CommandInfo", "CommandRecorder"]

F = TypeVar("F", bound=Callable[..., Any])


class CommandApp(Protocol):
    """Where a plugin adds its commands; groups are shared by all plugins.

    A function's parameters become the arguments and options of its command, with the types of their annotations. A
    parameter without a default, or before `/`, is an argument; the others are options, and so are all after `*`.
    `Annotated[T, "text"]` gives the help text. An underscore at the end of a name is left out: `from_` is `--from`.

    ```python
    @hookimpl
    def register_commands(app):
        @app.command("hello", help="Greets.")
        def hello(name: str, *, times: Annotated[int, "How often."] = 1) -> None:
            print(f"hello, {name}\\n" * times)
    ```

    The command line reads the signature with typer, so annotations with `typer.Option` and `typer.Argument` work too,
    for plugins that depend on it. Commands print data on standard output and raise `AlphaError` for what went wrong.
    """

    @property
    def plugins(self) -> "Plugins":
        """The plugins of this command line; look parts up here when the command runs."""

    def command(self, name: str, *, help: str, examples: Sequence[str] = (), default: bool = False) -> Callable[[F], F]:
        """Adds a command. `examples` are command lines, shown at the end of `--help`.

        The `default` command of a group is meant when flags follow the group's name at once: with `run` as the default,
        `alpha bench --json` is `alpha bench run --json`.
        """

    def group(self, name: str, *, help: str) -> "CommandApp":
        """Returns the command group `name`, made on first use: `app.group("plugins", help=...).command("check")`."""

    def config_command(
        self, name: str, *, configs: Sequence[type], help: str, examples: Sequence[str] = ()
    ) -> Callable[[F], F]:
        """Adds a command with one flag for each setting of the given configuration classes.

        The function's first parameter receives the flags that were given, as `Mapping[str, str]` from setting key to
        text; `alpha_core.config.load_config` merges them with the other sources. Its other parameters are read as by
        `command`.
        """


@attrs.frozen(kw_only=True)
class CommandInfo:
    """A command that a plugin registered."""

    path: tuple[str, ...]
    """Groups and name, as a person types them: `("plugins", "list")`."""
    help: str
    function: Callable[..., Any]
    plugin: str
    """Name of the plugin that registered it."""
    groups: tuple[tuple[str, str], ...] = ()
    """Name and help of each group on the path."""
    configs: tuple[type, ...] | None = None
    """Configuration classes whose settings are flags; None for a command without."""
    examples: tuple[str, ...] = ()
    default: bool = False
    """Whether its group means it when no command is named."""

    @property
    def name(self) -> str:
        return " ".join(self.path)

    def add_to(self, app: CommandApp) -> None:
        """Adds the command to an app."""
        for name, help in self.groups:
            app = app.group(name, help=help)
        if self.configs is None:
            app.command(self.path[-1], help=self.help, examples=self.examples, default=self.default)(self.function)
        else:
            app.config_command(self.path[-1], configs=self.configs, help=self.help, examples=self.examples)(
                self.function
            )


class CommandRecorder:
    """The app that plugins are given: it only notes what they add, so a plugin that fails half-way adds nothing."""

    def __init__(self, plugins: "Plugins", plugin: str, groups: tuple[tuple[str, str], ...] = ()) -> None:
        self.plugins = plugins
        self.commands: list[CommandInfo] = []
        self._plugin = plugin
        self._groups = groups

    def command(self, name: str, *, help: str, examples: Sequence[str] = (), default: bool = False) -> Callable[[F], F]:
        return self._record(name, help=help, examples=tuple(examples), default=default)

    def group(self, name: str, *, help: str) -> CommandApp:
        group = CommandRecorder(self.plugins, self._plugin, (*self._groups, (name, help)))
        group.commands = self.commands
        return group

    def config_command(
        self, name: str, *, configs: Sequence[type], help: str, examples: Sequence[str] = ()
    ) -> Callable[[F], F]:
        return self._record(name, help=help, configs=tuple(configs), examples=tuple(examples))

    def _record(self, name: str, **details: Any) -> Callable[[F], F]:
        path = (*(group for group, _ in self._groups), name)

        def add(function: F) -> F:
            info = CommandInfo(path=path, function=function, plugin=self._plugin, groups=self._groups, **details)
            self.commands.append(info)
            return function

        return add
