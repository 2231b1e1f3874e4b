"""The `remote` metric sink: reports a run to an Alpha server."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpha_core.errors import UsageError
from alpha_core.observer import Event, MetricSink, RunInfo, Sample
from alpha_report import messages
from alpha_report.delivery import Delivery
from alpha_report.outbox import Outbox
from alpha_report.settings import Settings
from alpha_report.waiting_files import WaitingFiles

__all__ = ["FINISH_SECONDS", "FOLDER", "RemoteSink"]

FOLDER = "remote"
"""The folder in a run folder that holds what waits to be delivered."""
FINISH_SECONDS = 30.0


class RemoteSink(MetricSink):
    """Puts everything into an outbox in the run folder, from which a thread delivers it.

    So a run can be watched at the server that `ALPHA_REMOTE_URL` names, and neither that server's absence nor a crash
    here loses anything: what did not arrive is delivered when the run resumes, or by `alpha remote send`. Raises
    `UsageError` for a run without a folder, and `ConfigError` without address or secret.
    """

    def __init__(self, run: RunInfo, settings: Settings | None = None) -> None:
        super().__init__(run)
        if run.folder is None:
            raise UsageError("the sink `remote` needs a run folder, and this run has none")
        self._settings = settings or Settings.from_environment()
        self._folder = run.folder
        self._outbox = Outbox(run.folder / FOLDER, capacity=self._settings.capacity)
        self._files = WaitingFiles(run.folder / FOLDER)
        try:
            self._delivery = Delivery(
                run.run_id, self._outbox, self._files, self._settings, tell=lambda message: self.tell(message)
            )
        except BaseException:
            self._outbox.close()
            raise

    def on_start(self, run: RunInfo) -> None:
        self._add(messages.run_start(run), run.start_step)
        for name in ("config.json", "tokenizer.json"):
            self._hold(self._folder / name)

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self._add(messages.metrics(metrics), metrics["step"])

    def on_event(self, event: Event) -> None:
        self._add(messages.event(event), event.step)
        if event.kind == "checkpoint_saved":
            self._hold(self._folder / Path(str(event.payload.get("path", ""))).name)

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        self._add(messages.samples(step, samples), step)

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self._add(messages.complete(summary), summary["step"])

    def close(self) -> None:
        self._delivery.finish(FINISH_SECONDS - 2 * self._settings.patience)
        self._outbox.close()

    def _add(self, content: Mapping[str, Any], step: int) -> None:
        self._outbox.add(content)
        self._delivery.notice(step)

    def _hold(self, path: Path) -> None:
        """Lets a file wait for its upload."""
        if not self._settings.upload or not path.is_file():
            return
        try:
            given_up = self._files.add(path)
        except OSError as error:
            self._outbox.add(messages.upload_failed(path.name, error.strerror or str(error)))
            return
        for name in given_up:
            self._outbox.add(messages.upload_failed(name, "newer checkpoints wait"))
        self._delivery.notice()
