"""The metric sink `db`: everything about a run into the database."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from alpha_core.errors import UsageError
from alpha_core.infrastructure import infrastructure
from alpha_core.observer import Event, MetricSink, RunInfo, Sample
from alpha_db.address import default_address
from alpha_db.database import BATCH
from alpha_db.delivery import Delivery
from alpha_db.outbox import Outbox, outbox_of
from alpha_db.row import Row, stored_value
from alpha_db.run_rows import (
    config_columns,
    created_at,
    event_rows,
    metrics_row,
    sample_row,
)

__all__ = ["DbSink"]

_FINISH_SECONDS = 10.0
_MOST_UNSAVED = 100_000  # rows that are held in memory while the disk is full


class DbSink(MetricSink):
    """Puts rows into the outbox of the run folder, from where they are delivered to the database on another thread.

    So a database that is away, locked or slow loses nothing and holds up nothing. What a killed run left in its outbox
    is delivered when it is resumed, or by `alpha db sync`. Raises `UsageError` for a run without a folder.
    """

    shared_files: ClassVar[tuple[str, ...]] = ("alpha.db", "alpha.db-wal", "alpha.db-shm")

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        if run.folder is None:
            raise UsageError("the sink `db` needs a run folder, and this run has none")
        self._folder = run.folder
        self._address = default_address(run.folder.parent)
        self._outbox = Outbox(outbox_of(run.folder))
        self._delivery: Delivery | None = None
        self._unsaved: deque[Row] = deque(maxlen=_MOST_UNSAVED)
        self._added = 0

    def on_start(self, run: RunInfo) -> None:
        values = {
            "run_id": run.run_id,
            **config_columns(run.config),
            **infrastructure(),
            "backend": run.backend or None,
            "total_iters": run.iters,
            "estimated_params": run.parameters,
            "status": "active",
            "error": None,
            "folder": str(self._folder.absolute()),
            "created_at": created_at(run.run_id, datetime.now(UTC)),
        }
        self._put([Row("runs", {column: stored_value(value) for column, value in values.items()})])

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self._put([metrics_row(self.run.run_id, metrics)])

    def on_event(self, event: Event) -> None:
        self._put(event_rows(self.run.run_id, event, self._folder))

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        self._put([sample_row(self.run.run_id, step, index, sample) for index, sample in enumerate(samples)])

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        values = {"run_id": self.run.run_id, "status": summary["status"], "error": summary.get("error")}
        self._put([Row("runs", {column: stored_value(value) for column, value in values.items()})])

    def close(self) -> None:
        if self._delivery is not None and not self._delivery.finish(_FINISH_SECONDS):
            waits = f"what the database `{self._address}` did not take waits in `{self._outbox.path}`"
            self.tell(f"{waits}; `alpha db sync` delivers it, and so does resuming the run")
        if self._unsaved:
            self.tell(f"{len(self._unsaved)} rows are lost: the outbox `{self._outbox.path}` could not be written")
        self._outbox.close()

    def _put(self, rows: Iterable[Row]) -> None:
        first_problem = not self._unsaved
        self._unsaved.extend(rows)
        try:
            self._outbox.append(self._unsaved)
        except OSError as error:
            if first_problem:
                self.tell(f"the outbox `{self._outbox.path}` cannot be written: {error.strerror}; trying again")
            return
        self._added += len(self._unsaved)
        self._unsaved.clear()
        if self._delivery is None:
            self._delivery = Delivery(self._outbox, self._address, self.run.run_id, lambda text: self.tell(text))
        elif self._added >= BATCH:
            self._added = 0
            self._delivery.hurry()
