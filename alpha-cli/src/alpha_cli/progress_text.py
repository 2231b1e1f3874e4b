"""The words and numbers of training progress, the same in a terminal and in a log."""

from collections.abc import Mapping
from typing import Any

from alpha_core.observer import RunInfo, Sample

__all__ = [
    "bar_words",
    "count",
    "duration",
    "header",
    "metrics_words",
    "printable",
    "sample_text",
    "step_label",
    "summary_line",
]


def count(number: float) -> str:
    """Returns a count in at most four digits: `950`, `12.3k`, `1.2M`."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}" if abs(number) < 999.5 * size else f"{number / size:.0f}{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """Returns a time as `0:42`, `12:05` or `3:00:59`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def header(run: RunInfo) -> list[str]:
    """Returns the lines that say what starts."""
    where = f" on {run.backend}" if run.backend else ""
    since = f", from step {run.start_step}" if run.start_step else ""
    lines = [f"run {run.run_id}: {count(run.parameters)} parameters{where}, {run.iters} steps{since}"]
    if run.train_tokens:
        held_out = f", {count(run.validation_tokens)} for validation" if run.validation_tokens else ""
        lines.append(f"data: {count(run.train_tokens)} tokens for training{held_out}")
    if run.folder is not None:
        lines.append(f"folder: {run.folder}")
    return lines


def metrics_words(metrics: Mapping[str, Any]) -> list[str]:
    """Returns what is known of a step, a few words for each number."""
    words = []
    for key, text in (
        ("loss", "loss {:.4f}"),
        ("valLoss", "valLoss {:.4f}"),
        ("lr", "lr {:.2e}"),
        ("gradNorm", "grad {:.3g}"),
    ):
        if metrics.get(key) is not None:
            words.append(text.format(metrics[key]))
    if metrics.get("tokens_per_sec"):
        words.append(f"{count(metrics['tokens_per_sec'])} tok/s")
    return words


def bar_words(metrics: Mapping[str, Any], validation_loss: float | None, remaining: str) -> list[str]:
    """Returns the same in short, so that a bar fits beside it in 80 columns."""
    known = {**metrics, "valLoss": validation_loss}
    formats = (("loss", "loss {:.3f}"), ("valLoss", "val {:.3f}"), ("lr", "lr {:.1e}"))
    words = [text.format(known[key]) for key, text in formats if known.get(key) is not None]
    if metrics.get("tokens_per_sec"):
        words.append(f"{count(metrics['tokens_per_sec'])} tok/s")
    return [*words, remaining]


def printable(text: str, encoding: str) -> str:
    """Returns text that is safe to show: a model may write control characters, which a terminal would obey."""
    safe = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return safe.encode(encoding, "replace").decode(encoding)


def sample_text(sample: Sample) -> tuple[str, str]:
    """Returns the prompt and what the model wrote after it."""
    return sample.prompt, sample.output.removeprefix(sample.prompt).rstrip()


def summary_line(summary: Mapping[str, Any], seconds: float) -> str:
    """Returns the sentence about the end of a run."""
    words = [f"{summary.get('status', 'ended')} at step {summary.get('step', '?')}"]
    for key, text in (("loss", "loss {:.4f}"), ("bestValLoss", "best valLoss {:.4f}")):
        if summary.get(key) is not None:
            words.append(text.format(summary[key]))
    return ", ".join([*words, f"in {duration(seconds)}"])


def step_label(step: int, iters: int) -> str:
    """Returns `step   7/1000`, always of the same width within a run."""
    return f"step {step:>{len(str(iters))}}/{iters}"
