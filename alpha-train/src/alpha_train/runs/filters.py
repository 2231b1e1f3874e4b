"""Which runs of many are shown."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import attrs

from alpha_core.errors import UnknownNameError, UsageError
from alpha_core.suggest import did_you_mean
from alpha_train.runs.summary import RunSummary

__all__ = ["STATUSES", "RunFilter"]

STATUSES = ("running", "completed", "early stopped", "stopped", "failed", "killed", "stale", "unreadable")


@attrs.frozen(kw_only=True)
class RunFilter:
    """What a run must have to be shown; an empty filter shows all."""

    status: str = ""
    domain: str | None = None
    match: str = ""
    """Part of the id."""
    days: float = 0.0
    """Started so many days ago at most; 0 is any time."""
    limit: int = 0
    """Only so many, the newest; 0 is all."""

    def __attrs_post_init__(self) -> None:
        if self.status and self.status not in STATUSES:
            listed = ", ".join(f"`{status}`" for status in STATUSES)
            raise UnknownNameError(
                f"`--status` is one of {listed}, not `{self.status}`", hint=did_you_mean(self.status, STATUSES)
            )
        if self.days < 0 or self.limit < 0:
            raise UsageError("`--days` and `--limit` cannot be below 0")

    def of(self, runs: Iterable[RunSummary], *, now: datetime | None = None) -> list[RunSummary]:
        """Returns the runs that are shown, in their order."""
        since = (now or datetime.now(UTC)) - timedelta(days=self.days) if self.days else None
        shown = [
            run
            for run in runs
            if (not self.status or run.status == self.status)
            and (self.domain is None or run.domain == self.domain)
            and self.match in run.run_id
            and (since is None or run.created >= since)
        ]
        return shown[-self.limit :] if self.limit else shown
