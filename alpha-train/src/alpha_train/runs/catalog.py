"""The runs that there are to look at: those of a database, if there is one, and those that only their folders know."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from alpha_core.config import RunConfig, from_dict
from alpha_core.errors import DataError
from alpha_core.plugins import Plugins
from alpha_core.run_store import RunStore, StoredRun
from alpha_train.run_name import LAST, no_run, run_named
from alpha_train.runs.summary import RunSummary, created_of, summarize, summarize_stored

if TYPE_CHECKING:
    from alpha_train.run_folder import RunFolder

__all__ = ["Catalog", "DatabaseRun", "FolderRun", "KnownRun"]


class KnownRun(Protocol):
    """A run, wherever it is known from. Methods raise what is wrong with it: it is damaged, or the database is away."""

    @property
    def run_id(self) -> str: ...

    def summary(self) -> RunSummary:
        """Returns what there is to know at a glance; an unreadable run is no error."""

    def config(self) -> RunConfig:
        """Returns its configuration."""

    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """Returns its metrics, ascending by step."""

    def events(self) -> Sequence[Mapping[str, Any]]:
        """Returns its events, in order."""

    def checkpoints(self) -> Mapping[int, int | None]:
        """Returns the sizes of its checkpoints in bytes, by step; None where it is not known."""


@attrs.frozen
class FolderRun:
    """A run whose folder is here."""

    folder: "RunFolder"
    plugins: Plugins

    @property
    def run_id(self) -> str:
        return self.folder.run_id

    @property
    def created(self) -> datetime:
        return created_of(self.folder)

    def summary(self) -> RunSummary:
        return summarize(self.folder, self.plugins)

    def config(self) -> RunConfig:
        summary = self.summary()
        if summary.config is None:
            raise DataError(f"run `{self.run_id}` cannot be read: {summary.problem}")
        return summary.config

    def metrics(self) -> Sequence[Mapping[str, Any]]:
        return self.folder.read_metrics().rows

    def events(self) -> Sequence[Mapping[str, Any]]:
        return self.folder.read_events()

    def checkpoints(self) -> Mapping[int, int | None]:
        return {step: self.folder.checkpoint_path(step).stat().st_size for step in self.folder.checkpoint_steps()}


@attrs.frozen
class DatabaseRun:
    """A run of a database."""

    stored: StoredRun
    store: RunStore
    plugins: Plugins

    @property
    def run_id(self) -> str:
        return self.stored.run_id

    def summary(self) -> RunSummary:
        return summarize_stored(self.stored)

    def config(self) -> RunConfig:
        return from_dict(self.store.config(self.run_id), source=f"run `{self.run_id}` of `{self.store.name}`")

    def metrics(self) -> Sequence[Mapping[str, Any]]:
        return self.store.metrics(self.run_id)

    def events(self) -> Sequence[Mapping[str, Any]]:
        return self.store.events(self.run_id)

    def checkpoints(self) -> Mapping[int, int | None]:
        return {checkpoint.step: checkpoint.size for checkpoint in self.store.checkpoints(self.run_id)}


class Catalog:
    """The runs of a folder and of the database that knows them.

    A run that both know is the database's, unless its files have changed since they were brought in.
    """

    def __init__(self, runs: Path, store: RunStore | None, plugins: Plugins) -> None:
        self._runs, self._store, self._plugins = runs, store, plugins

    def runs(self) -> list[KnownRun]:
        """Returns all runs, in the order in which they were started."""
        stored = {run.run_id: run for run in self._store.runs()} if self._store is not None else {}
        found: list[tuple[datetime, str, KnownRun]] = []
        for path in _folders(self._runs):
            known = stored.get(path.name)
            if known is None or _is_newer(path, known):
                stored.pop(path.name, None)
                folder = self._folder_run(path)
                found.append((folder.created, folder.run_id, folder))
        if self._store is not None:
            for run in stored.values():
                found.append((run.created, run.run_id, DatabaseRun(run, self._store, self._plugins)))
        return [run for _, _, run in sorted(found, key=lambda item: item[:2])]

    def find(self, name: str) -> KnownRun:
        """Returns the run that a person means by its id, the beginning of its id, the path of its folder, or `last`.

        Raises `UnknownNameError` if there is none, and `UsageError` if several ids begin like that.
        """
        known = {run.run_id: run for run in self.runs()}
        if name not in known and name != LAST and os.path.isfile(Path(name, "config.json")):
            return self._folder_run(Path(name))
        places = f"`{self._runs}`" + (f" and `{self._store.name}`" if self._store is not None else "")
        found = run_named(name, known, places)
        if found is None:
            raise no_run(name, known, places)
        return found

    def _folder_run(self, path: Path) -> "FolderRun":
        from alpha_train.run_folder import RunFolder

        return FolderRun(RunFolder(path), self._plugins)


def _folders(runs: Path) -> Iterator[Path]:
    """Yields the run folders below a folder. Without `alpha_train.run_folder`, which takes long to import."""
    try:
        entries = list(os.scandir(runs))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if os.path.isfile(os.path.join(entry.path, "config.json")):
            yield Path(entry.path)


def _is_newer(path: Path, stored: StoredRun) -> bool:
    """Tells whether the folder of a stored run knows more: its log was added to since it was read, or the run may still
    be training, which the lock of the folder tells at once, and signs of life only after a while."""
    try:
        modified = (path / "metrics.jsonl").stat().st_mtime
    except OSError:
        return False
    return stored.status in ("active", "stale") or (stored.disk_mtime is not None and modified > stored.disk_mtime)
