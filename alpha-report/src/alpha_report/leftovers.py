"""What runs that ended could not deliver, and its delivery."""

from collections.abc import Callable
from pathlib import Path

from alpha_report.delivery import Delivery
from alpha_report.outbox import Outbox
from alpha_report.remote_sink import FOLDER
from alpha_report.settings import Settings
from alpha_report.waiting_files import WaitingFiles

__all__ = ["send_leftovers", "waiting_runs"]


def waiting_runs(runs: Path) -> list[Path]:
    """Returns the folders of runs that have something to deliver."""
    folders = sorted(path.parent for path in runs.glob(f"*/{FOLDER}"))
    return [folder for folder in folders if _waits(folder / FOLDER)]


def send_leftovers(
    folder: Path, *, seconds: float, tell: Callable[[str], None], settings: Settings | None = None
) -> bool:
    """Delivers what waits in a run folder, and tells how that went. Returns whether all of it arrived.

    Raises `ConfigError` without the server's address and secret, and `UsageError` while the run trains.
    """
    settings = settings or Settings.from_environment()
    run_id = folder.resolve().name
    outbox, files = Outbox(folder / FOLDER, capacity=settings.capacity), WaitingFiles(folder / FOLDER)
    try:
        records, waiting = len(outbox), len(files.all())
        delivery = Delivery(run_id, outbox, files, settings, tell=lambda message: tell(f"{run_id}: {message}"))
        complete = delivery.finish(seconds)
    finally:
        outbox.close()
    if complete:
        tell(f"{run_id}: {records} records and {waiting} files are delivered")
    return complete


def _waits(folder: Path) -> bool:
    outbox = folder / "outbox.jsonl"
    return (outbox.is_file() and outbox.stat().st_size > 0) or bool(WaitingFiles(folder).all())
