"""Where runs can be looked up besides their folders: the contract between a database of runs and the commands."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

__all__ = ["RUN_STATUSES", "RunStore", "StoredCheckpoint", "StoredRun"]

RUN_STATUSES = ("active", "completed", "early_stopped", "stopped", "failed", "stale")
"""How a stored run can stand. `active` has a heartbeat; `stale` had one, and has been silent for too long."""


@attrs.frozen(kw_only=True)
class StoredRun:
    """What a store knows of a run at a glance; `None` where it does not know."""

    run_id: str
    status: str
    """One of `RUN_STATUSES`."""
    created: datetime
    folder: str | None = None
    """Where its files were when it was stored, on machine `host`."""
    host: str | None = None
    domain: str | None = None
    parameters: int | None = None
    iters: int | None = None
    metrics: Mapping[str, Any] = attrs.field(factory=dict)
    """The last that were stored, under the names of `metrics.jsonl`."""
    best_val_loss: float | None = None
    best_step: int | None = None
    disk_mtime: float | None = None
    """When its files had last changed as they were read, in seconds since 1970; None if it was stored as it trained."""


@attrs.frozen(kw_only=True)
class StoredCheckpoint:
    """A checkpoint that was written once; its file may be gone."""

    step: int
    file: str
    size: int | None
    """In bytes."""


class RunStore(ABC):
    """Stored runs. Methods raise `DatabaseError` when the store cannot be reached or read.

    `choose_run_store` returns one. The commands `alpha runs` show what it holds together with the run folders, and
    close it at the end.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it, without secrets: `file:runs/alpha.db`."""

    @abstractmethod
    def runs(self) -> Sequence[StoredRun]:
        """Returns every run, the oldest first."""

    @abstractmethod
    def run(self, run_id: str) -> StoredRun | None:
        """Returns a run by its whole id."""

    @abstractmethod
    def config(self, run_id: str) -> dict[str, Any]:
        """Returns the configuration of a run as `config.json` holds it."""

    @abstractmethod
    def metrics(self, run_id: str, *, after: int = 0) -> Sequence[Mapping[str, Any]]:
        """Returns the metrics of the steps after `after`, ascending, under the names of `metrics.jsonl`."""

    @abstractmethod
    def events(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """Returns what happened, in order, under the names of `events.jsonl`."""

    @abstractmethod
    def checkpoints(self, run_id: str) -> Sequence[StoredCheckpoint]:
        """Returns the checkpoints, ascending by step."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the store."""
