"""Makes a database smaller: checkpoints whose files are gone, and metrics between those that are worth keeping."""

import platform
from pathlib import Path

import attrs

from alpha_db.connection import Statement
from alpha_db.database import Database
from alpha_db.file_connection import FileConnection
from alpha_db.row import NOW

__all__ = ["Pruned", "prune"]


@attrs.frozen(kw_only=True)
class Pruned:
    """How many rows were deleted, or would be."""

    checkpoints: int
    metrics: int


def prune(database: Database, *, keep_every: int = 0, older_than_days: float = 30.0, dry_run: bool = False) -> Pruned:
    """Deletes rows of checkpoints of this machine whose files are gone.

    With `keep_every`, of the metrics of runs that ended so many days ago also all steps but every n-th, the first, the
    last, and those with a validation loss. With `dry_run` it only counts.
    """
    gone = _gone_checkpoints(database)
    thin = _thinned(keep_every, older_than_days) if keep_every > 1 else None
    if dry_run:
        count = database.read(f"SELECT count(*) FROM metrics WHERE {thin}")[0][0] if thin is not None else 0
        return Pruned(checkpoints=len(gone), metrics=int(count or 0))
    statements = [Statement("DELETE FROM checkpoints WHERE run_id = ? AND step = ?", gone)] if gone else []
    if thin is not None:
        statements.append(Statement(f"DELETE FROM metrics WHERE {thin}"))
    counts = database.connection.write(statements) if statements else []
    if any(counts) and isinstance(database.connection, FileConnection):
        database.connection.give_back_space()
    return Pruned(checkpoints=counts[0] if gone else 0, metrics=counts[-1] if thin is not None else 0)


def _gone_checkpoints(database: Database) -> list[tuple[str, int]]:
    rows = database.read(
        "SELECT c.run_id, c.step, c.file_path FROM checkpoints c JOIN runs r ON r.run_id = c.run_id"
        " WHERE r.hostname = ? AND c.file_path IS NOT NULL",
        (platform.node(),),
    )
    return [(str(run_id), int(step or 0)) for run_id, step, path in rows if not Path(str(path)).exists()]


def _thinned(keep_every: int, days: float) -> str:
    limit = NOW.replace("'now'", f"'now', '-{days:f} days'")
    ended = f"SELECT run_id FROM runs WHERE status != 'active' AND coalesce(updated_at, created_at) < {limit}"
    others = "FROM metrics o WHERE o.run_id = metrics.run_id"
    return (
        f"step % {int(keep_every)} != 0 AND val_loss IS NULL AND run_id IN ({ended})"
        f" AND step NOT IN ((SELECT min(step) {others}), (SELECT max(step) {others}))"
    )
