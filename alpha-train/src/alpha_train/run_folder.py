"""The folder of a run: everything needed to resume it or to sample from it."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from alpha_core.errors import CheckpointError, ConfigError, TokenizerError, UsageError
from alpha_core.run_id import is_run_id
from alpha_train.atomic_file import TEMPORARY_SUFFIX
from alpha_train.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from alpha_train.json_file import read_json, write_json
from alpha_train.run_name import LAST, no_run, run_named

__all__ = ["BestCheckpoint", "MetricsLog", "RunFolder", "find_run", "list_runs"]

_CONFIG, _TOKENIZER, _BEST, _METRICS = "config.json", "tokenizer.json", "best.json", "metrics.jsonl"
_EVENTS = "events.jsonl"
_LAST_BYTES = 1 << 16  # enough for the last line of a log
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})\.alph")
_UNFINISHED = re.compile(r"\.(?:checkpoint-[0-9]+\.alph|(?:best|config|tokenizer|trainer)\.json)\.")


@attrs.frozen
class BestCheckpoint:
    """The evaluated step with the lowest validation loss so far."""

    step: int
    val_loss: float
    """Nats per token."""


@attrs.frozen
class MetricsLog:
    """What `metrics.jsonl` holds."""

    rows: tuple[Mapping[str, Any], ...]
    """One for each step, ascending; of several lines of a step, the last: it is from the latest resumption."""
    skipped: int
    """Lines that could not be read, such as one that a crash cut off."""


@attrs.frozen
class RunFolder:
    """`runs/<run_id>/`: `config.json`, `tokenizer.json`, `checkpoint-<step>.alph`, `best.json` and the `.jsonl` logs.

    Files appear completely or not at all. Methods raise the error of their subject (`ConfigError`, `TokenizerError`,
    `CheckpointError`) for files that are missing, damaged or cannot be written.
    """

    path: Path

    @classmethod
    def create(cls, runs: Path, run_id: str, config: Mapping[str, Any]) -> "RunFolder":
        """Makes the folder of a new run. Raises `UsageError` if it exists or cannot be made."""
        folder = cls(runs / run_id)
        try:
            folder.path.mkdir(parents=True)
        except OSError as error:
            raise UsageError(f"the run folder `{folder.path}` cannot be made: {error.strerror}") from error
        folder.write_config(config)
        return folder

    @property
    def run_id(self) -> str:
        return self.path.resolve().name

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Stores the configuration of the run."""
        write_json(self.path / _CONFIG, config, ConfigError)

    def read_config(self) -> dict[str, Any]:
        """Returns the content of `config.json`, unchecked."""
        return read_json(self.path / _CONFIG, ConfigError)

    def write_tokenizer(self, artifacts: Mapping[str, Any]) -> None:
        """Stores the artifacts of the run's tokenizer."""
        write_json(self.path / _TOKENIZER, artifacts, TokenizerError)

    def read_tokenizer(self) -> dict[str, Any]:
        """Returns the artifacts of the run's tokenizer."""
        return read_json(self.path / _TOKENIZER, TokenizerError)

    def checkpoint_path(self, step: int) -> Path:
        return self.path / f"checkpoint-{step}.alph"

    def checkpoint_steps(self) -> list[int]:
        """Returns the steps that have a checkpoint file, ascending."""
        return sorted(int(match[1]) for path in self.path.iterdir() if (match := _CHECKPOINT.fullmatch(path.name)))

    def save_checkpoint(self, checkpoint: Checkpoint, *, keep: int, val_loss: float | None = None) -> Path:
        """Writes a checkpoint, removes old ones (see `prune`), and returns its path.

        `val_loss` is that of an evaluated step, which may be the best (see `record_best`). Whatever it is killed
        between, what was the newest checkpoint is there, and so is the one that `best.json` names.
        """
        path = self.checkpoint_path(checkpoint.step)
        write_checkpoint(path, checkpoint)
        if val_loss is not None:
            self.record_best(checkpoint.step, val_loss)
        self.prune(keep)
        return path

    def latest_checkpoint(self, *, tensors: bool = True) -> Checkpoint:
        """Returns the newest checkpoint that can be read; its notes name newer ones that are damaged.

        Raises `CheckpointError` if there is none.
        """
        damaged: list[str] = []
        for step in reversed(self.checkpoint_steps()):
            try:
                checkpoint = read_checkpoint(self.checkpoint_path(step), tensors=tensors)
            except CheckpointError as error:
                damaged.append(error.message)
            else:
                return attrs.evolve(checkpoint, notes=(*damaged, *checkpoint.notes))
        if damaged:
            raise CheckpointError(f"run `{self.run_id}` has no checkpoint that can be used: {'; '.join(damaged)}")
        raise CheckpointError(
            f"run `{self.run_id}` has no checkpoint yet", hint="it ended before the first one was written"
        )

    def best_checkpoint(self, *, tensors: bool = True) -> Checkpoint:
        """Returns the checkpoint with the lowest validation loss, or the latest if none was evaluated."""
        best = self.read_best()
        if best is None or not self.checkpoint_path(best.step).exists():
            return self.latest_checkpoint(tensors=tensors)
        return read_checkpoint(self.checkpoint_path(best.step), tensors=tensors)

    def read_best(self) -> BestCheckpoint | None:
        """Returns what `record_best` noted last, or None if it noted nothing that can be read."""
        try:
            content = read_json(self.path / _BEST, CheckpointError)
        except CheckpointError:
            return None
        step, val_loss = content.get("step"), content.get("valLoss")
        if type(step) is not int or not isinstance(val_loss, int | float):
            return None
        return BestCheckpoint(step, float(val_loss))

    def record_best(self, step: int, val_loss: float) -> bool:
        """Notes an evaluated step, whose checkpoint is there, if it is better than all before; tells whether it is."""
        best = self.read_best()
        if not math.isfinite(val_loss) or (best is not None and val_loss >= best.val_loss):
            return False
        write_json(self.path / _BEST, {"step": step, "valLoss": val_loss}, CheckpointError)
        return True

    def prune(self, keep: int) -> None:
        """Removes checkpoints but for the `keep` newest (at least one) and the best, and what a crash left behind."""
        best = self.read_best()
        old = [step for step in self.checkpoint_steps()[: -max(keep, 1)] if best is None or step != best.step]
        unfinished = [path for path in self.path.glob(f".*{TEMPORARY_SUFFIX}") if _UNFINISHED.match(path.name)]
        try:
            for path in [*map(self.checkpoint_path, old), *unfinished]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"`{error.filename}` cannot be removed: {error.strerror}") from error

    def read_metrics(self) -> MetricsLog:
        """Returns the logged metrics; empty if there is no log."""
        rows: dict[int, Mapping[str, Any]] = {}
        skipped = 0
        for row in _read_lines(self.path / _METRICS):
            if isinstance(row, dict) and type(row.get("step")) is int:
                rows[row["step"]] = row
            else:
                skipped += 1
        return MetricsLog(tuple(rows[step] for step in sorted(rows)), skipped)

    def read_last_metrics(self) -> Mapping[str, Any] | None:
        """Returns the metrics that were logged last, without reading the whole log; None if there are none."""
        try:
            with open(self.path / _METRICS, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = file.read().splitlines()
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            row = _json_of(line)
            if isinstance(row, dict) and type(row.get("step")) is int:
                return row
        return None

    def read_events(self) -> tuple[Mapping[str, Any], ...]:
        """Returns the logged events in order; lines that cannot be read are left out."""
        return tuple(row for row in _read_lines(self.path / _EVENTS) if isinstance(row, dict))


def list_runs(runs: Path) -> list[RunFolder]:
    """Returns the runs in a folder, in the order in which they were started."""
    if not runs.is_dir():
        return []
    return sorted((RunFolder(config.parent) for config in runs.glob(f"*/{_CONFIG}")), key=_started)


def find_run(runs: Path, name: str) -> RunFolder:
    """Returns the run that a person means by its id, the beginning of its id, the path of its folder, or `last`.

    Raises `UnknownNameError` if there is none, and `UsageError` if several ids begin like that.
    """
    by_id = {run.run_id: run for run in list_runs(runs)}
    is_folder = os.path.isfile(Path(name, _CONFIG)) and name not in by_id and name != LAST
    found = RunFolder(Path(name)) if is_folder else run_named(name, by_id, f"`{runs}`")
    if found is None:
        raise no_run(name, by_id, f"`{runs}`")
    return found


def _started(run: RunFolder) -> tuple[str, int]:
    """Returns when a run was started: by its id, or if someone renamed the folder, by its first file."""
    modified = (run.path / _CONFIG).stat().st_mtime_ns
    if is_run_id(run.run_id):
        return run.run_id.split("_")[-2], modified
    return f"{datetime.fromtimestamp(modified / 1e9, UTC):%Y%m%d%H%M%S}", modified


def _read_lines(path: Path) -> Iterator[Any]:
    """Yields the value of each line of a JSON Lines file, None for one that cannot be read."""
    try:
        file = open(path, "rb")  # noqa: SIM115 (the caller's loop runs while it is open)
    except FileNotFoundError:
        return
    with file:
        for line in file:
            yield _json_of(line)


def _json_of(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
