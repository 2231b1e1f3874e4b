"""What tests of reporting share: settings that hurry, and a delivery without a run."""

from pathlib import Path
from typing import Any

from tests.server.ingest_server import SECRET

from alpha_report.delivery import Delivery
from alpha_report.outbox import Outbox
from alpha_report.settings import Settings
from alpha_report.waiting_files import WaitingFiles

__all__ = ["NOWHERE", "Reporter", "quick"]

NOWHERE = "http://127.0.0.1:9"


def quick(url: str, **changes: Any) -> Settings:
    settings = {"first_pause": 0.02, "longest_pause": 0.1, "patience": 0.3, "flush_seconds": 0.1, **changes}
    return Settings(url=url, secret=SECRET, **settings)


class Reporter:
    """A delivery with its outbox, without a run."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.told: list[str] = []
        self.outbox, self.files = Outbox(folder, capacity=settings.capacity), WaitingFiles(folder)
        self.delivery = Delivery("run", self.outbox, self.files, settings, self.told.append)

    def step(self, number: int, **more: Any) -> None:
        self.outbox.add({"type": "metrics", "metrics": [{"step": number, **more}]})
        self.delivery.notice(number)

    def finish(self, seconds: float = 30) -> bool:
        complete = self.delivery.finish(seconds)
        self.outbox.close()
        return complete
