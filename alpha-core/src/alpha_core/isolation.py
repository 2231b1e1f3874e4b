"""One plugin at a time: registered, checked and called so that its mistakes are its own."""

from collections.abc import Sequence
from typing import Any

import pluggy

from alpha_core import hookspecs
from alpha_core.errors import PluginError
from alpha_core.kinds import Kind, T
from alpha_core.suggest import did_you_mean

__all__ = ["IsolatedManager"]


class IsolatedManager:
    """A pluggy manager that asks each plugin by itself. Every method lets the errors of that plugin through."""

    def __init__(self, project: str) -> None:
        self._manager = pluggy.PluginManager(project)
        self._manager.add_hookspecs(hookspecs)
        self._hooks = [name for name in dir(hookspecs) if self._manager.parse_hookspec_opts(hookspecs, name)]

    def register(self, plugin: object, name: str) -> None:
        """Registers a plugin and checks its hooks. Raises `PluginError`, and leaves it out, if they are wrong."""
        try:
            self._manager.register(plugin, name=name)
            self._check_spelling(plugin)
            self._check_marks(plugin)
        except pluggy.PluginValidationError as error:
            self.unregister(name)
            raise PluginError(" ".join(str(error).split())) from error
        except Exception:
            self.unregister(name)
            raise

    def unregister(self, name: str) -> None:
        """Removes a plugin with all its hooks; does nothing for one that is not there."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def implementers(self, hook: str) -> list[str]:
        """Returns the plugins that implement a hook, in the order in which pluggy calls them."""
        return [implementation.plugin_name for implementation in self._implementations(hook)]

    def call(self, name: str, hook: str, **arguments: Any) -> list[Any]:
        """Calls a hook of one plugin alone; returns its results other than None."""
        results = [
            implementation.function(*(arguments[argument] for argument in implementation.argnames))
            for implementation in self._implementations(hook)
            if implementation.plugin_name == name
        ]
        return [result for result in results if result is not None]

    def descriptors(self, name: str, kind: Kind[T]) -> list[T]:
        """Returns the parts of one kind that a plugin registers. Raises `PluginError` for wrong types."""
        if name not in self.implementers(kind.hook):
            return []
        results = self.call(name, kind.hook)
        if not results:
            raise PluginError(f"`{kind.hook}` returned None, not a list of `{kind.info.__name__}`")
        return [_checked(info, kind) for result in results for info in _sequence(result, kind)]

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        implementations: list[pluggy.HookImpl] = getattr(self._manager.hook, hook).get_hookimpls()
        return implementations[::-1]

    def _check_spelling(self, plugin: object) -> None:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            callers = self._manager.get_hookcallers(plugin) or []
            unknown = next((caller.name for caller in callers if not caller.has_spec()), None)
            if unknown is None:
                raise
            message = f"unknown hook `{unknown}`"
            hint = did_you_mean(unknown, self._hooks)
            raise PluginError(f"{message}; {hint}" if hint else message) from error

    def _check_marks(self, plugin: Any) -> None:
        """A function with the name of a hook but without the mark would be ignored silently."""
        for hook in self._hooks:
            marked = self._manager.parse_hookimpl_opts(plugin, hook) or self._manager.parse_hookspec_opts(plugin, hook)
            if marked is None and callable(getattr(plugin, hook, None)):
                raise PluginError(f"`{hook}` is not marked with `@hookimpl`")
            if marked is not None and (marked.get("wrapper") or marked.get("hookwrapper")):
                raise PluginError(
                    f"`{hook}` is a hook wrapper; Alpha asks each plugin by itself, so it would never run"
                )


def _sequence(result: object, kind: Kind[Any]) -> Sequence[object]:
    if not isinstance(result, list | tuple):
        raise PluginError(f"`{kind.hook}` returned `{type(result).__name__}`, not a list of `{kind.info.__name__}`")
    return result


def _checked(info: object, kind: Kind[T]) -> T:
    if not isinstance(info, kind.info):
        raise PluginError(f"`{kind.hook}` returned an item of type `{type(info).__name__}`, not `{kind.info.__name__}`")
    if not isinstance(info.name, str) or not info.name:
        raise PluginError(f"`{kind.hook}` returned a {kind.label} whose name is {info.name!r}, not text")
    for field in ("load", *kind.checks):
        if not callable(getattr(info, field)):
            raise PluginError(f"`{field}` of {kind.label} `{info.name}` must be a function")
    return info
