"""`alpha remote send`."""

from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR
from alpha_core.errors import AlphaError, UnknownNameError, UsageError

__all__ = ["add_commands"]


def add_commands(app: CommandApp) -> None:
    """Adds the group `remote`."""
    group = app.group("remote", help="Reports runs to an Alpha server.")

    @group.command(
        "send",
        help="Delivers what did not reach the server while runs trained.\n\nThe sink `remote` keeps it in the run"
        " folders. The server is the one of `ALPHA_REMOTE_URL`.",
        examples=("alpha remote send", "alpha remote send 20260101000000_abcd"),
    )
    def send(
        run: Annotated[str | None, "A run's id or folder; without it every run that has something."] = None,
        /,
        *,
        runs_dir: Annotated[Path, "Folder that holds the run folders."] = Path(DEFAULT_RUNS_DIR),
        timeout: Annotated[float, "Seconds for each run; 0 means as long as it takes."] = 0.0,
    ) -> None:
        from alpha_report.leftovers import send_leftovers, waiting_runs

        folders = waiting_runs(runs_dir) if run is None else [_folder(runs_dir, run)]
        if not folders:
            print(f"nothing waits in `{runs_dir}`")
        left = 0
        for folder in folders:
            try:
                left += not send_leftovers(folder, seconds=timeout or float("inf"), tell=print)
            except UsageError as error:
                if run is not None:
                    raise
                print(f"{folder.name}: {error.message}")  # it trains, and delivers by itself
        if left:
            raise AlphaError(f"{left} of {len(folders)} runs could not be delivered completely")


def _folder(runs_dir: Path, name: str) -> Path:
    for folder in (runs_dir / name, Path(name)):
        if (folder / "config.json").is_file():
            return folder
    raise UnknownNameError(f"there is no run `{name}` in `{runs_dir}`", hint="`alpha runs list` shows the runs")
