"""What is known about one plugin, and where plugins are found."""

import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points

import attrs

from alpha_core.providers import ALPHA_PACKAGES

__all__ = ["ENTRY_POINT_GROUP", "PluginRecord", "installed_plugins"]

ENTRY_POINT_GROUP = "alpha"


@attrs.frozen(kw_only=True)
class PluginRecord:
    """What is known about one plugin."""

    name: str
    """As its entry point names it."""
    package: str | None = None
    """The distribution that it came in; None for one that a program registered itself."""
    version: str | None = None
    registers: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """Names by kind, as far as its hooks got; the names of a broken plugin are in no registry."""
    broken: str | None = None
    """Why it is left out, in one line."""
    error: BaseException | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def title(self) -> str:
        """Name, package and version: `` `tokenizers` (alpha-tokenizers 0.1.0) ``."""
        origin = " ".join(filter(None, [self.package, self.version]))
        return f"`{self.name}` ({origin})" if origin else f"`{self.name}`"


def installed_plugins() -> list[tuple[PluginRecord, Callable[[], object]]]:
    """Returns every installed plugin with the function that imports it: Alpha's own packages first, then by name."""
    found = [(_record(entry_point), entry_point.load) for entry_point in entry_points(group=ENTRY_POINT_GROUP)]
    return sorted(found, key=lambda pair: _load_order(pair[0]))


def _record(entry_point: EntryPoint) -> PluginRecord:
    try:
        assert entry_point.dist is not None
        package = re.sub(r"[-_.]+", "-", entry_point.dist.name).lower()
        version = entry_point.dist.version
    except (AssertionError, KeyError, OSError, TypeError):  # a distribution without readable metadata
        return PluginRecord(name=entry_point.name)
    return PluginRecord(name=entry_point.name, package=package, version=version)


def _load_order(record: PluginRecord) -> tuple[int, str, str]:
    package = record.package or ""
    rank = ALPHA_PACKAGES.index(package) if package in ALPHA_PACKAGES else len(ALPHA_PACKAGES)
    return rank, package, record.name
