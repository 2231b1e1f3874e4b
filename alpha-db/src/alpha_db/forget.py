"""Forgetting a run: its rows in the database and its files on this machine, verified."""

import shutil
from pathlib import Path

import attrs
from filelock import FileLock, Timeout

from alpha_core.errors import DatabaseError, UsageError
from alpha_db.connection import Statement
from alpha_db.database import Database
from alpha_db.file_connection import FileConnection
from alpha_db.folder import RunFiles
from alpha_db.schema import TABLES

__all__ = ["Forgotten", "find_traces", "forget"]

_TABLES = tuple(table for table, columns in TABLES.items() if "run_id" in columns)


@attrs.frozen(kw_only=True)
class Forgotten:
    """What there is of a run, or what there was of it."""

    run_id: str
    rows: dict[str, int]
    """By table, for each that has any."""
    folders: tuple[Path, ...]
    files: int
    size: int
    """Of the files, in bytes."""

    @property
    def is_empty(self) -> bool:
        return not self.rows and not self.folders

    def to_json(self) -> dict[str, object]:
        return {
            "runId": self.run_id,
            "rows": self.rows,
            "folders": [str(folder) for folder in self.folders],
            "files": self.files,
            "bytes": self.size,
        }


def find_traces(run_id: str, runs: Path, databases: list[Database]) -> Forgotten:
    """Returns what there is of a run in databases, in its folder below `runs`, and where else its files are."""
    rows: dict[str, int] = {}
    folders = {runs / run_id}
    for database in databases:
        for table in _TABLES:
            ((count,),) = database.read(f"SELECT count(*) FROM {table} WHERE run_id = ?", (run_id,))
            assert isinstance(count, int)
            if count:
                rows[table] = rows.get(table, 0) + count
        for (folder,) in database.read("SELECT folder FROM runs WHERE run_id = ?", (run_id,)):
            folders.add(Path(str(folder or runs / run_id)))
        for (file,) in database.read("SELECT file_path FROM checkpoints WHERE run_id = ?", (run_id,)):
            folders.add(Path(str(file or runs / run_id / "none")).parent)
    # A database is no reason to remove a folder: it must be called like the run, and be one of a run.
    found = sorted({folder.resolve() for folder in folders if folder.name == run_id and _is_of_a_run(folder)})
    files = [path for folder in found for path in folder.rglob("*") if path.is_file()]
    return Forgotten(
        run_id=run_id,
        rows=rows,
        folders=tuple(found),
        files=len(files),
        size=sum(path.stat().st_size for path in files),
    )


def forget(run_id: str, runs: Path, databases: list[Database]) -> Forgotten:
    """Deletes everything that `find_traces` finds, looks again, and returns what was deleted.

    In a database file the content is overwritten, not only unlinked. Raises `UsageError` for a run that is being
    trained, and `DatabaseError` if something is still there at the end.
    """
    found = find_traces(run_id, runs, databases)
    for folder in found.folders:
        _refuse_training(folder)
    for database in databases:
        database.connection.write(
            [Statement(f"DELETE FROM {table} WHERE run_id = ?", [(run_id,)]) for table in _TABLES]
        )
        if isinstance(database.connection, FileConnection):
            database.connection.erase_traces()
    for folder in found.folders:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise DatabaseError(f"`{error.filename}` of run `{run_id}` cannot be removed: {error.strerror}") from error
    left = find_traces(run_id, runs, databases)
    if not left.is_empty:
        raise DatabaseError(
            f"run `{run_id}` is still there: {left.rows or 'no rows'}, {len(left.folders)} folders",
            hint="another process may be writing it; stop that one and try again",
        )
    return found


def _is_of_a_run(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "config.json").is_file() or bool(RunFiles(folder).checkpoints()))


def _refuse_training(folder: Path) -> None:
    """The lock is the one that a trainer holds on the folder."""
    if not (folder / "trainer.json").exists():
        return
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(f"run `{folder.name}` is being trained", hint="stop it first") from error
    lock.release()
