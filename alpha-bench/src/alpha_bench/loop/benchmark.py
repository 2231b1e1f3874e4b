"""The loop benchmark: attempts until one is ok, the best of them, a log, a history and a summary for shells."""

import hashlib
import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import attrs

from alpha_bench import __version__
from alpha_bench.loop.attempt import attempt
from alpha_bench.loop.history import Entry, append_entry, baseline, read_history
from alpha_bench.loop.outcome import Outcome, Status, best_of, classify
from alpha_bench.machine import Machine, commit
from alpha_core.config import RunConfig, to_dict
from alpha_core.errors import DataError

__all__ = ["LoopOptions", "LoopResult", "run_loop"]

_IRRELEVANT = (
    *("data", "text_key", "tokenizer", "iters", "lr_min", "warmup", "schedule", "decay_fraction"),
    *("eval_interval", "eval_iters", "early_stop", "seed", "sample_interval", "checkpoint_interval", "keep", "packed"),
    *("validation_fraction", "sinks", "tag", "runs_dir", "backend", "knobs"),
)
"""Settings of training that do not change how long a step takes; backend and knobs are taken as they turned out."""


@attrs.frozen(kw_only=True)
class LoopOptions:
    """How it is measured."""

    steps: int = 30
    warmup: int = 3
    attempts: int = 3
    """At most; the first that is ok ends them."""
    timeout: float = 600.0
    """Seconds for one attempt."""
    spread: float = 0.1
    """Largest spread of the step times of an attempt that is ok."""
    folder: Path = Path("perf")


@attrs.frozen(kw_only=True)
class LoopResult:
    """What came of it."""

    outcome: Outcome
    entry: Entry
    log: Path

    def to_json(self) -> dict[str, Any]:
        return {**attrs.asdict(self.entry), "reasons": list(self.outcome.reasons)}


def run_loop(config: RunConfig, options: LoopOptions, *, note: Callable[[str], None]) -> LoopResult:
    """Runs the benchmark and writes its files below `options.folder`. Raises `DataError` if they cannot be written."""
    history_path = options.folder / "history.csv"
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        history = read_history(history_path)
        log_path, log = _new_log(options.folder)
        with log:
            outcomes = _attempts(config, options, log, note)
    except OSError as error:
        raise DataError(f"`{options.folder}` cannot be written: {error.strerror}") from error
    outcome = best_of(outcomes)
    entry = _entry(config, options, outcome, len(outcomes), log_path)
    entry = _compared(entry, baseline(history, machine=entry.machine, config=entry.config))
    append_entry(history_path, entry)
    _write_environment(options.folder / "last-benchmark.env", entry)
    return LoopResult(outcome=outcome, entry=entry, log=log_path)


def _attempts(config: RunConfig, options: LoopOptions, log: IO[str], note: Callable[[str], None]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while len(outcomes) < options.attempts:
        _write(log, f"attempt {len(outcomes) + 1} of {options.attempts}")
        found = attempt(config, steps=options.steps, warmup=options.warmup, timeout=options.timeout, log=log)
        outcome = classify(found, spread=options.spread)
        outcomes.append(outcome)
        line = _line(outcome)
        _write(log, line)
        if outcome.measurement is not None:
            _write(log, json.dumps(attrs.asdict(outcome.measurement)))
        note(f"attempt {len(outcomes)}: {line}")
        if outcome.status is Status.ok:
            break
    return outcomes


def _line(outcome: Outcome) -> str:
    speed = f", {outcome.tokens_per_second:,.0f} tokens/s" if outcome.measurement is not None else ""
    reasons = f": {'; '.join(outcome.reasons)}" if outcome.reasons else ""
    return f"{outcome.status.name}{speed}{reasons}"


def _entry(config: RunConfig, options: LoopOptions, outcome: Outcome, attempts: int, log: Path) -> Entry:
    machine, found, summary = Machine.here(), outcome.measurement, outcome.summary
    backend = found.backend if found is not None else config.train.backend
    knobs = dict(found.knobs) if found is not None else {}
    identity = {
        "model": to_dict(config)["model"],
        "train": {key: value for key, value in to_dict(config)["train"].items() if key not in _IRRELEVANT},
        "backend": backend,
        "knobs": knobs,
        "steps": [options.warmup, options.steps],
    }
    return Entry(
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        status=outcome.status.name,
        tokens_per_second=outcome.tokens_per_second if found is not None else None,
        ms_per_step=1000 * summary.median if summary is not None else None,
        spread=summary.spread if summary is not None else None,
        first_loss=found.losses[0] if found is not None else None,
        last_loss=found.losses[-1] if found is not None else None,
        memory_peak_bytes=found.memory_peak_bytes if found is not None else None,
        attempts=attempts,
        machine=_hash({"cpu": machine.cpu, "cores": machine.cores}),
        config=_hash(identity),
        cpu=machine.cpu,
        backend=backend,
        knobs=",".join(f"{name}={value}" for name, value in knobs.items()),
        precision=config.train.precision,
        commit=commit() or "",
        version=__version__,
        baseline=None,
        ratio=None,
        reasons="; ".join(outcome.reasons),
        log=log.name,
    )


def _compared(entry: Entry, rate: float | None) -> Entry:
    if rate is None or entry.tokens_per_second is None:
        return entry
    return attrs.evolve(entry, baseline=rate, ratio=entry.tokens_per_second / rate)


def _write_environment(path: Path, entry: Entry) -> None:
    """Writes `BENCH_NAME=value` lines, which `.` reads in any shell."""
    lines = [
        f"BENCH_{name.upper()}={shlex.quote('' if value is None else str(value))}\n"
        for name, value in attrs.asdict(entry).items()
    ]
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise DataError(f"`{path}` cannot be written: {error.strerror}") from error


def _new_log(folder: Path) -> tuple[Path, IO[str]]:
    """Opens a log that no other benchmark has, even one of the same second."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while True:
        path = folder / (f"run-{stamp}.log" if number == 1 else f"run-{stamp}-{number}.log")
        try:
            return path, open(path, "x", encoding="utf-8")
        except FileExistsError:
            number += 1


def _write(log: IO[str], line: str) -> None:
    """Flushed, because the process of an attempt writes into the same file."""
    print(line, file=log, flush=True)


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
