"""The plugin manager: loads each plugin in isolation, and hands out their parts by name.

`load_plugins()` builds one; nothing is loaded on import, and there is no global. A plugin whose import or hooks fail,
or that claims a name that another one has, is left out as a whole and recorded with the reason; the rest goes on.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from alpha_core.command import CommandInfo, CommandRecorder
from alpha_core.descriptors import BackendInfo
from alpha_core.errors import (
    AlphaError,
    BackendError,
    NotInstalledError,
    PluginError,
    TokenizerError,
    UnknownNameError,
)
from alpha_core.isolation import IsolatedManager
from alpha_core.kinds import (
    ACTIVATION,
    BACKEND,
    COMMANDS,
    DOMAIN,
    METRIC_SINK,
    OPTIMIZER,
    SCHEDULE,
    TOKENIZER,
    Kind,
    T,
    label_of,
)
from alpha_core.plugin_record import ENTRY_POINT_GROUP, PluginRecord, installed_plugins
from alpha_core.providers import provider_of
from alpha_core.registry import Registry, reason_of
from alpha_core.suggest import did_you_mean

if TYPE_CHECKING:
    from alpha_core.backend import Backend
    from alpha_core.run_store import RunStore
    from alpha_core.tokenizer import Tokenizer

__all__ = ["ENVIRONMENT_VARIABLE", "PluginRecord", "Plugins", "load_plugins"]

ENVIRONMENT_VARIABLE = "ALPHA_PLUGINS"
ALWAYS_LOADED = ("core", "cli")
"""Plugins that `ALPHA_PLUGINS` cannot leave out: the default rules, and the command line that is asking."""
LIST_HINT = "`alpha plugins list` tells more"


def load_plugins(names: Sequence[str] | None = None, *, environ: Mapping[str, str] = os.environ) -> "Plugins":
    """Loads the installed plugins: Alpha's own packages first, then all others by name.

    `names` limits loading to these plugins (as their entry points name them); None means those of the comma-separated
    environment variable `ALPHA_PLUGINS`, or all if it is unset or empty. Plugins `core` and `cli` always load. Raises
    `UnknownNameError` for a wrong name in `names`; for one in the variable, `Plugins.notes` has a sentence.
    """
    plugins = Plugins()
    plugins.limit = f"`{ENVIRONMENT_VARIABLE}`" if names is None else "the list of plugins to load"
    installed = installed_plugins()
    wanted = names if names is not None else _names_in(environ)
    known = [record.name for record, _ in installed]
    for name in wanted or ():
        if name not in known:
            hint = did_you_mean(name, known)
            if names is not None:
                raise UnknownNameError(f"plugin `{name}` is not installed; there are {_listed(known)}", hint=hint)
            note = f"`{ENVIRONMENT_VARIABLE}` names plugin `{name}`, which is not installed"
            plugins.notes.append(f"{note}; {hint}" if hint else note)
    for record, load in installed:
        if wanted is None or record.name in wanted or record.name in ALWAYS_LOADED:
            plugins._records.append(plugins._admit(record, load))
        else:
            plugins.skipped.append(record)
    return plugins


class Plugins:
    """Plugins and the parts that they brought. Made by `load_plugins`; a new one is empty."""

    def __init__(self) -> None:
        self._manager = IsolatedManager(ENTRY_POINT_GROUP)
        self._records: list[PluginRecord] = []
        self._commands: dict[tuple[str, ...], CommandInfo] = {}
        self._asked_for_commands: set[str] = set()
        self.skipped: list[PluginRecord] = []
        """Plugins that are installed but that `limit` leaves out."""
        self.limit = ""
        """What limited the loading, as messages name it."""
        self.notes: list[str] = []
        """What a person should know about the loading, a sentence each."""
        self.backends = self._registry(BACKEND)
        self.tokenizers = self._registry(TOKENIZER)
        self.activations = self._registry(ACTIVATION)
        self.optimizers = self._registry(OPTIMIZER)
        self.schedules = self._registry(SCHEDULE)
        self.metric_sinks = self._registry(METRIC_SINK)
        self.domains = self._registry(DOMAIN)

    @property
    def registries(self) -> tuple[Registry[Any], ...]:
        """One registry for each kind of part."""
        return (
            self.backends,
            self.tokenizers,
            self.activations,
            self.optimizers,
            self.schedules,
            self.metric_sinks,
            self.domains,
        )

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin that was loaded or is broken, in the order of loading."""
        self._collect_commands()
        return tuple(self._records)

    @property
    def commands(self) -> tuple[CommandInfo, ...]:
        """The commands of all plugins. Plugins are asked for them on first use: only a command line needs them."""
        self._collect_commands()
        return tuple(self._commands.values())

    def register(self, plugin: object, *, name: str | None = None) -> None:
        """Adds a module or object with hooks, for programs that bring parts of their own, and for tests.

        Raises `PluginError` if it is broken or claims a name that is taken; then nothing of it is added.
        """
        name = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        record = self._admit(PluginRecord(name=name), lambda: plugin)
        if record.broken is not None:
            raise PluginError(f"plugin `{name}` is broken: {record.broken}") from record.error
        self._records.append(record)

    def leave_out(self, name: str, error: BaseException) -> None:
        """Removes a plugin that turned out to be broken after it was loaded, with all its parts."""
        self._manager.unregister(name)
        for registry in self.registries:
            registry.remove_owner(name)
        self._commands = {path: info for path, info in self._commands.items() if info.plugin != name}
        self._asked_for_commands.discard(name)
        for index, record in enumerate(self._records):
            if record.name == name and record.broken is None:
                self._records[index] = _broken(record, error)

    def choose_backend(self, name: str = "auto") -> BackendInfo:
        """Returns the backend of that name; `auto` means the one that the `choose_backend` hook picks.

        Raises `BackendError` if none can run here, and what `Registry.get` raises for a name.
        """
        if name != "auto":
            return self.backends.get(name)
        available = self.backends.available()
        if not available:
            raise self._no_backend()
        for plugin in self._manager.implementers("choose_backend"):
            try:
                choice = next(iter(self._manager.call(plugin, "choose_backend", available=tuple(available))), None)
                if choice is not None and choice not in [info.name for info in available]:
                    raise PluginError(f"`choose_backend` returned {choice!r}, which is no available backend")
            except Exception as error:  # noqa: BLE001 - a stranger's hook must not stop the choice; it is announced
                self.leave_out(plugin, error)
                warnings.warn(f"plugin `{plugin}` is broken and left out: {reason_of(error)}", stacklevel=2)
                return self.choose_backend()
            if choice is not None:
                return self.backends.get(choice)
        unsuited = [f"`{info.name}`: {reason}" for info in available if (reason := info.unsuited()) is not None]
        message = f"no backend suits this machine ({'; '.join(unsuited)})" if unsuited else "no plugin chose a backend"
        raise BackendError(message, hint=f"name one: there are {_listed(self.backends.names)}")

    def load_planner(self, name: str = "auto") -> "Backend":
        """Opens the backend that `choose_backend` returns, to record programs with it and to run none.

        One that can plan without its device is opened so, also where it is unavailable. Raises what `choose_backend`
        and `load` do.
        """
        named = next((info for info in self.backends if info.name == name), None)
        info = named if named is not None and named.load_planner is not None else self.choose_backend(name)
        return (info.load_planner or info.load)()

    def choose_run_store(self, runs: Path) -> "RunStore | None":
        """Returns the database that knows the runs of a folder, None if no plugin has one.

        Raises `DatabaseError` if there is one that cannot be opened, and `PluginError` for what is no `RunStore`.
        """
        from alpha_core.run_store import RunStore

        for plugin in self._manager.implementers("choose_run_store"):
            for store in self._manager.call(plugin, "choose_run_store", runs=runs):
                if not isinstance(store, RunStore):
                    raise PluginError(f"`choose_run_store` of plugin `{plugin}` returned {store!r}, no `RunStore`")
                return store
        return None

    def load_tokenizer(self, artifacts: Mapping[str, Any]) -> "Tokenizer":
        """Rebuilds a tokenizer from its artifacts; their `type` says which class does it.

        Raises `TokenizerError` for artifacts that no installed tokenizer can read, and `NotInstalledError` if an Alpha
        package that is not installed can.
        """
        kind = artifacts.get("type")
        if not isinstance(kind, str):
            raise TokenizerError("the tokenizer artifacts have no `type`", hint="they should be a `tokenizer.json`")
        tokenizer = self._tokenizer_class(kind)
        try:
            return tokenizer.from_artifacts(dict(artifacts))
        except AlphaError:
            raise
        except Exception as error:
            raise TokenizerError(f"tokenizer `{kind}` cannot read its artifacts: {reason_of(error)}") from error

    def missing(self, kind: str, name: str, known: Iterable[str]) -> AlphaError:
        """Returns the error for a name that is not registered: who would bring it, or what there is instead."""
        label = label_of(kind)
        package = provider_of(kind, name)
        for record in self._records:
            brings = name in record.registers.get(kind, ()) or (package is not None and record.package == package)
            if brings and record.broken is not None:
                return PluginError(f"{label} `{name}` is of plugin {record.title}, which is broken: {record.broken}")
        if package is not None:
            for record in self.skipped:
                if record.package == package:
                    return PluginError(f"{label} `{name}` is of plugin {record.title}, which {self.limit} leaves out")
            if all(record.package != package for record in self._records):
                return NotInstalledError(
                    f"{label} `{name}` is not installed: `pip install {package}`",
                    # An index may have a stranger's project of that name until ours are published.
                    hint=f"from a checkout of Alpha: `pip install ./{package}`; its packages are on no index yet",
                )
        known = sorted(known)
        there_are = f"there are {_listed(known)}" if known else "there are none"
        return UnknownNameError(f"unknown {label} `{name}`; {there_are}", hint=self._hint(name, known))

    def _hint(self, name: str, known: Sequence[str]) -> str | None:
        hint = did_you_mean(name, known)
        broken = [record.name for record in self._records if record.broken]
        if hint is None and broken:
            return f"some plugins are broken ({_listed(broken)}); {LIST_HINT}"
        if hint is None and self.skipped:
            return f"{self.limit} leaves out {_listed([record.name for record in self.skipped])}"
        return hint

    def _registry(self, kind: Kind[T]) -> Registry[T]:
        registry: Registry[T] = Registry(kind, lambda name: self.missing(kind.name, name, registry.names))
        return registry

    def _admit(self, record: PluginRecord, load: Callable[[], object]) -> PluginRecord:
        """Loads a plugin and adds its parts, or none of them; returns its record."""
        registers: dict[str, tuple[str, ...]] = {}
        parts: list[tuple[Registry[Any], list[Any]]] = []
        try:
            plugin = load()
            self._refuse_taken_name(record)
            self._manager.register(plugin, record.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's module does is recorded
            return _broken(record, error)
        try:
            for registry in self.registries:
                infos = self._manager.descriptors(record.name, registry.kind)
                if infos:
                    registers[registry.kind.name] = tuple(info.name for info in infos)
                    parts.append((registry, infos))
            for registry, infos in parts:
                self._refuse_duplicates(registry, [info.name for info in infos])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's hook does is recorded
            self._manager.unregister(record.name)
            return _broken(attrs.evolve(record, registers=registers), error)
        for registry, infos in parts:
            for info in infos:
                registry.add(info, record.name)
        return attrs.evolve(record, registers=registers)

    def _refuse_taken_name(self, record: PluginRecord) -> None:
        other = self._working(record.name)
        if other is not None:
            raise PluginError(f"the plugin name `{record.name}` is already taken by {other.title}")

    def _refuse_duplicates(self, registry: Registry[Any], names: Sequence[str]) -> None:
        label = registry.kind.label
        for name in names:
            if name in registry:
                raise PluginError(
                    f"{label} `{name}` is already registered by plugin {self._title(registry.owner(name))}"
                )
            if names.count(name) > 1:
                raise PluginError(f"it registers {label} `{name}` twice")

    def _collect_commands(self) -> None:
        for index, record in enumerate(self._records):
            if record.broken is not None or record.name in self._asked_for_commands:
                continue
            self._asked_for_commands.add(record.name)
            recorder = CommandRecorder(self, record.name)
            try:
                self._manager.call(record.name, "register_commands", app=recorder)
                self._refuse_command_conflicts(recorder.commands)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's hook does is recorded
                self.leave_out(record.name, error)
            else:
                self._commands.update({info.path: info for info in recorder.commands})
            if recorder.commands:
                names = tuple(info.name for info in recorder.commands)
                registers = {**record.registers, COMMANDS: names}
                self._records[index] = attrs.evolve(self._records[index], registers=registers)

    def _refuse_command_conflicts(self, commands: Sequence[CommandInfo]) -> None:
        """A path may neither be taken nor be both a command and a group."""
        own: set[tuple[str, ...]] = set()
        for info in commands:
            for path, other in self._commands.items():
                if path[: len(info.path)] == info.path or info.path[: len(path)] == path:
                    title = self._title(other.plugin)
                    raise PluginError(f"command `{info.name}` clashes with command `{other.name}` of plugin {title}")
            if info.path in own:
                raise PluginError(f"it registers command `{info.name}` twice")
            own.add(info.path)

    def _working(self, name: str) -> PluginRecord | None:
        return next((record for record in self._records if record.name == name and record.broken is None), None)

    def _title(self, name: str) -> str:
        record = self._working(name)
        return record.title if record is not None else f"`{name}`"

    def _no_backend(self) -> BackendError:
        if not len(self.backends):
            return BackendError("there is no backend", hint=self.missing(BACKEND.name, "cpu_ref", ()).message)
        reasons = "; ".join(f"`{info.name}`: {info.unavailable()}" for info in self.backends)
        return BackendError(f"no backend is available here ({reasons})")

    def _tokenizer_class(self, kind: str) -> "type[Tokenizer]":
        """The class whose `type` is `kind`; the one that is registered by that very name is tried first."""
        infos = sorted(self.tokenizers.available(), key=lambda info: info.name != kind)
        unreadable: list[str] = []
        for info in infos:
            try:
                tokenizer = info.load()
            except AlphaError as error:
                unreadable.append(error.message)
                continue
            if getattr(tokenizer, "type", None) == kind:
                return tokenizer
        missing = self.missing("tokenizers", kind, self.tokenizers.names)
        if not isinstance(missing, UnknownNameError):
            raise missing
        message = f"no installed tokenizer reads artifacts of type `{kind}`"
        raise TokenizerError("; ".join([message, *unreadable]), hint=missing.hint or LIST_HINT)


def _broken(record: PluginRecord, error: BaseException) -> PluginRecord:
    return attrs.evolve(record, broken=reason_of(error), error=error)


def _names_in(environ: Mapping[str, str]) -> list[str] | None:
    names = [name.strip() for name in environ.get(ENVIRONMENT_VARIABLE, "").split(",")]
    return [name for name in names if name] or None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
