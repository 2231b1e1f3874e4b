"""`alpha db sync | status | migrate | prune | export | forget`."""

import json as json_format
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR
from alpha_core.errors import UnknownNameError, UsageError
from alpha_core.suggest import did_you_mean

if TYPE_CHECKING:
    from alpha_db.address import Address
    from alpha_db.database import Database

__all__ = ["add_commands"]

Db = Annotated[
    str | None,
    "The database: a file or a URL. Without it TURSO_DATABASE_URL, in the environment or in .env.local, else `alpha.db`"
    " in the folder of the runs.",
]
RunsDir = Annotated[Path, "Folder that holds the run folders."]
Json = Annotated[bool, "Print JSON."]
DEFAULT = Path(DEFAULT_RUNS_DIR)


def add_commands(app: CommandApp) -> None:
    """Adds the group `db`."""
    commands = DatabaseCommands(app)
    group = app.group("db", help="Keeps runs in a database, a file or a server such as Turso.")
    group.command(
        "sync",
        help="Brings run folders into the database: what is new in them, and what waits in their outboxes.",
        examples=("alpha db sync", "alpha db sync --runs-dir=experiments --db=libsql://runs-me.turso.io"),
    )(commands.sync)
    group.command(
        "status",
        help="Shows where the database is, its version, and what is in it.",
        examples=("alpha db status", "alpha db status --json"),
    )(commands.status)
    group.command(
        "migrate",
        help="Brings the database to the version that this Alpha writes. Older versions of Alpha are refused then.",
        examples=("alpha db migrate",),
    )(commands.migrate)
    group.command(
        "prune",
        help="Deletes rows of checkpoints whose files are gone, and thins out the metrics of old runs if told to.",
        examples=("alpha db prune --dry-run", "alpha db prune --keep-every=10 --older-than=90"),
    )(commands.prune)
    group.command(
        "export",
        help="Writes every table to a file, of all runs or of some.",
        examples=("alpha db export --out=backup", "alpha db export 20261121 --out=run --format=csv"),
    )(commands.export)
    group.command(
        "forget",
        help="Deletes everything of a run: its rows, samples, checkpoints and files.\n\nIt looks again afterwards, and"
        " says what is gone. Without `--yes` it only says what there is.",
        examples=("alpha db forget 20261121120000_ab12", "alpha db forget 20261121120000_ab12 --yes"),
    )(commands.forget)


class DatabaseCommands:
    """The commands, with the plugins of a command line: domains, which `sync` notes down."""

    def __init__(self, app: CommandApp) -> None:
        self._app = app

    def sync(
        self,
        run: Annotated[str | None, "Its id; all runs without it."] = None,
        /,
        *,
        db: Db = None,
        runs_dir: RunsDir = DEFAULT,
        json: Json = False,
    ) -> None:
        import attrs

        from alpha_db.domains import domain_rows
        from alpha_db.sync import sync_runs

        if not runs_dir.is_dir():
            raise UsageError(f"there is no folder `{runs_dir}`", hint="`--runs-dir` names the one that holds the runs")
        with _opened(db, runs_dir) as database:
            database.write(domain_rows(self._app.plugins))
            results = []
            for result in sync_runs(runs_dir, database, run_id=run):
                results.append(result)
                if result.problem is not None:
                    _note(f"run `{result.run_id}` is left out: {result.problem}")
                elif not json and result.changed:
                    counts = _listed(attrs.asdict(result), ("metrics", "events", "samples", "checkpoints"))
                    extra = _listed(attrs.asdict(result), ("delivered", "skipped"))
                    print(f"{result.run_id}  {counts or 'nothing new'}" + (f"  ({extra})" if extra else ""))
            if run is not None and not results:
                raise UnknownNameError(f"there is no run `{run}` in `{runs_dir}`")
            if json:
                print(json_format.dumps([{**attrs.asdict(result)} for result in results], indent=2))
            else:
                changed = sum(result.changed for result in results)
                _note(f"{len(results)} runs looked at, {changed} with something new; they are in `{database.address}`")

    def status(self, *, db: Db = None, runs_dir: RunsDir = DEFAULT, json: Json = False) -> None:
        from alpha_db.status import status_of

        address = _address(db, runs_dir)
        content = status_of(address, runs_dir)
        if json:
            print(json_format.dumps(content, indent=2))
            return
        for key, value in content.items():
            if isinstance(value, dict):
                value = ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
            print(f"{key:<10}{'-' if value is None else value}")

    def migrate(self, *, db: Db = None, runs_dir: RunsDir = DEFAULT) -> None:
        from alpha_db.connection import connect
        from alpha_db.migrations import NEWEST, migrate

        address = _address(db, runs_dir)
        connection = connect(address)
        try:
            before = migrate(connection)
        finally:
            connection.close()
        happened = f"was of version {before} and is" if before < NEWEST else "is"
        print(f"the database `{address}` {happened} of version {NEWEST}")

    def prune(
        self,
        *,
        keep_every: Annotated[
            int, "Keep the metrics of every n-th step, evaluations, first and last; 0 keeps all."
        ] = 0,
        older_than: Annotated[float, "Days since the end of the runs whose metrics are thinned out."] = 30.0,
        dry_run: Annotated[bool, "Only count."] = False,
        db: Db = None,
        runs_dir: RunsDir = DEFAULT,
    ) -> None:
        from alpha_db.prune import prune

        if keep_every < 0 or older_than < 0:
            raise UsageError("`--keep-every` and `--older-than` cannot be below 0")
        with _opened(db, runs_dir, existing=True) as database:
            pruned = prune(database, keep_every=keep_every, older_than_days=older_than, dry_run=dry_run)
        verb = "would delete" if dry_run else "deleted"
        print(f"{verb} {pruned.checkpoints} checkpoints whose files are gone and the metrics of {pruned.metrics} steps")

    def export(
        self,
        runs: Annotated[list[str] | None, "Ids, or beginnings of ids; all runs without any."] = None,
        /,
        *,
        out: Annotated[Path, "Folder for the files."],
        format: Annotated[str, "jsonl or csv."] = "jsonl",
        db: Db = None,
        runs_dir: RunsDir = DEFAULT,
    ) -> None:
        from alpha_db.export import FORMATS, export

        if format not in FORMATS:
            raise UnknownNameError(
                f"`--format` is `jsonl` or `csv`, not `{format}`", hint=did_you_mean(format, FORMATS)
            )
        with _opened(db, runs_dir, existing=True) as database:
            ids = [_run_id(database, run) for run in runs or ()]
            counts = export(database, out, form=format, run_ids=ids)
        for table, count in counts.items():
            print(f"{out / table}.{format}  {count} rows")

    def forget(
        self,
        run: Annotated[str, "Its whole id."],
        /,
        *,
        yes: Annotated[bool, "Delete it."] = False,
        db: Db = None,
        runs_dir: RunsDir = DEFAULT,
        json: Json = False,
    ) -> None:
        from alpha_db.forget import find_traces, forget

        with _databases(db, runs_dir) as databases:
            found = find_traces(run, runs_dir, databases)
            if found.is_empty:
                places = ", ".join(f"`{database.address}`" for database in databases)
                raise UnknownNameError(
                    f"there is nothing of a run `{run}` in `{runs_dir}`" + f" and {places}" * bool(places)
                )
            if yes:
                found = forget(run, runs_dir, databases)
        if json:
            print(json_format.dumps({**found.to_json(), "deleted": yes}, indent=2))
            return
        print(f"{'deleted' if yes else 'there is'} of run `{run}`:")
        for table, count in found.rows.items():
            print(f"  {table:<12}{count} rows")
        for folder in found.folders:
            print(f"  folder      {folder}")
        print(f"  files       {found.files} ({found.size} bytes)")
        _note("looked again: nothing is left" if yes else "`--yes` deletes all of this, which cannot be undone")


def _address(db: str | None, runs: Path) -> "Address":
    from alpha_core.environment import environment_value
    from alpha_db.address import TOKEN_VARIABLE, Address, default_address

    if db is None:
        return default_address(runs)
    return Address.of(db, token=environment_value(TOKEN_VARIABLE))


@contextmanager
def _opened(db: str | None, runs: Path, *, existing: bool = False) -> "Iterator[Database]":
    """Opens the database; a file that should be `existing` is not made."""
    from alpha_db.database import Database

    address = _address(db, runs)
    if existing and address.path is not None and not address.path.exists():
        raise UsageError(f"there is no database `{address}`", hint="`alpha db sync` makes one from the run folders")
    with Database.open(address) as database:
        yield database


@contextmanager
def _databases(db: str | None, runs: Path) -> "Iterator[list[Database]]":
    """Opens every database that may know a run: the one that is used, and the file beside the run folders."""
    from contextlib import ExitStack

    from alpha_db.address import FILE_NAME, Address
    from alpha_db.database import Database

    addresses = {str(address): address for address in (_address(db, runs), Address(f"file:{runs / FILE_NAME}"))}
    with ExitStack() as stack:
        yield [
            stack.enter_context(Database.open(address))
            for address in addresses.values()
            if address.path is None or address.path.exists()
        ]


def _run_id(database: "Database", name: str) -> str:
    """Returns the id that a person means by its beginning."""
    known = [str(run_id) for (run_id,) in database.read("SELECT run_id FROM runs")]
    matches = [name] if name in known else [run_id for run_id in known if name and run_id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"several runs begin with `{name}`: {', '.join(f'`{run_id}`' for run_id in matches)}")
    raise UnknownNameError(f"the database has no run `{name}`", hint=did_you_mean(name, known))


def _listed(counts: dict[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in names if counts[name])


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
