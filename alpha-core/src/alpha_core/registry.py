"""A registry: the parts of one kind by name, safe to list and loud to misuse."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import attrs

from alpha_core.descriptors import Info
from alpha_core.errors import AlphaError, PluginError
from alpha_core.kinds import Kind

__all__ = ["Registry", "reason_of"]

T = TypeVar("T", bound=Info)


class Registry(Generic[T]):
    """The parts of one kind that plugins brought, in the order in which they came.

    Iterate to list them; `get` to use one. A descriptor from here never raises anything but `AlphaError` from `load`,
    and nothing from `unavailable` and the other checks of its kind.

    ```python
    for info in plugins.backends:
        print(info.name, info.unavailable() or "available")
    backend = plugins.backends.get("cpu_ref").load()
    ```
    """

    def __init__(self, kind: Kind[T], missing: Callable[[str], AlphaError]) -> None:
        self._kind = kind
        self._missing = missing
        self._infos: dict[str, T] = {}
        self._owners: dict[str, str] = {}

    @property
    def kind(self) -> Kind[T]:
        return self._kind

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._infos)

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._infos.values()))

    def __len__(self) -> int:
        return len(self._infos)

    def __contains__(self, name: object) -> bool:
        return name in self._infos

    def get(self, name: str) -> T:
        """Returns the descriptor of a part that can be used here.

        Raises `UnknownNameError` for a name that nobody registered, `NotInstalledError` if an Alpha package that is not
        installed brings it, `PluginError` if the plugin that brings it is broken, and `BackendError` (for a backend) or
        `PluginError` if the part is unavailable on this machine.
        """
        if name not in self._infos:
            raise self._missing(name)
        info = self._infos[name]
        reason = info.unavailable()
        if reason is not None:
            raise self._kind.unavailable_error(f"{self._kind.label} `{name}` is unavailable here: {reason}")
        return info

    def available(self) -> list[T]:
        """Returns the parts that can be used on this machine."""
        return [info for info in self if info.unavailable() is None]

    def owner(self, name: str) -> str:
        """Returns the name of the plugin that brought a registered part."""
        return self._owners[name]

    def add(self, info: T, owner: str) -> None:
        """Adds a part; `Plugins` calls this after it has checked that the name is free."""
        self._infos[info.name] = _guarded(info, self._kind, owner)
        self._owners[info.name] = owner

    def remove_owner(self, owner: str) -> None:
        """Removes the parts of a plugin that turned out to be broken."""
        for name in [name for name, its_owner in self._owners.items() if its_owner == owner]:
            del self._infos[name], self._owners[name]


def reason_of(error: BaseException) -> str:
    """Returns an error as one line: the message of an `AlphaError`, type and message of any other."""
    if isinstance(error, AlphaError):
        text = " ".join(filter(None, [error.message, error.hint]))
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return " ".join(text.split())


def _guarded(info: T, kind: Kind[T], owner: str) -> T:
    """Wraps the plugin's own functions, so that an error in them names the plugin."""

    def guarded_load(load: Callable[[], Any]) -> Callable[[], Any]:
        def loaded() -> Any:
            try:
                return load()
            except AlphaError:
                raise
            except Exception as error:
                raise PluginError(
                    f"{kind.label} `{info.name}` of plugin `{owner}` cannot be loaded: {reason_of(error)}"
                ) from error

        return loaded

    def guarded(check: Callable[[], str | None]) -> Callable[[], str | None]:
        def checked() -> str | None:
            try:
                return check()
            except Exception as error:  # noqa: BLE001 - a stranger's check must not break a listing
                return f"its check failed with {reason_of(error)}"

        return checked

    checks = {name: guarded(getattr(info, name)) for name in kind.checks}
    given = {name: getattr(info, name) for name in kind.loads}
    loads = {name: guarded_load(load) for name, load in given.items() if load is not None}
    functions: dict[str, Any] = {**loads, **checks}
    return attrs.evolve(info, **functions)
