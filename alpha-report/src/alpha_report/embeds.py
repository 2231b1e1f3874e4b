"""What the `discord` sink posts: embeds, within the lengths that Discord allows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from alpha_core.observer import RunInfo, Sample

__all__ = ["complete_message", "samples_message", "start_message"]

_TITLE, _FIELD_NAME, _FIELD_VALUE, _TOTAL = 256, 256, 1024, 6000  # characters that Discord takes
_BLUE, _GREEN, _RED, _GREY = 0x3B82F6, 0x22C55E, 0xEF4444, 0x6B7280
_COLORS = {"completed": _GREEN, "early_stopped": _GREEN, "failed": _RED}


def start_message(run: RunInfo) -> dict[str, Any]:
    """The run starts or resumes: its model and how it is trained."""
    model, train = run.config.get("model", {}), run.config.get("train", {})
    did = f"resumes at step {run.start_step}" if run.start_step else "starts"
    sizes = [f"{model[key]} {word}" for key, word in (("n_layer", "layers"), ("n_embd", "wide")) if key in model]
    batch = [
        f"{train[key]} {word}" for key, word in (("batch_size", "sequences"), ("lr", "learning rate")) if key in train
    ]
    fields = {
        "Parameters": f"{run.parameters:,}",
        "Steps": f"{run.iters:,}",
        "Model": ", ".join([*sizes, *([str(model["activation"])] if "activation" in model else [])]),
        "Training": ", ".join([*batch, *([str(train["optimizer"])] if "optimizer" in train else [])]),
        "Domain": str(run.config.get("domain") or ""),
        "Backend": run.backend,
    }
    return _message(f"{run.run_id} {did}", fields, _BLUE)


def samples_message(run: RunInfo, step: int, samples: Sequence[Sample], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The model wrote texts: up to four of them, with the latest losses."""
    fields = _losses(metrics)
    for index, sample in enumerate(samples[:4], start=1):
        fields[f"Sample {index}"] = _code(sample.prompt + sample.output)
    return _message(f"{run.run_id} at step {step} of {run.iters}", fields, _GREY, inline=False)


def complete_message(run: RunInfo, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The run ended, and how."""
    status = str(summary.get("status", "ended"))
    fields = _losses(summary)
    best = _number(summary.get("bestValLoss"))
    if best:
        fields["Best validation loss"] = f"{best} at step {summary.get('bestStep', '?')}"
    fields["Error"] = str(summary.get("error", ""))
    title = f"{run.run_id} {status.replace('_', ' ')} at step {summary.get('step')}"
    return _message(title, fields, _COLORS.get(status, _GREY))


def _message(title: str, fields: Mapping[str, str], color: int, *, inline: bool = True) -> dict[str, Any]:
    left = _TOTAL - _TITLE
    shown = []
    for name, value in fields.items():
        if not value:
            continue
        value = _cut(value, min(_FIELD_VALUE, left - len(name)))
        if not value:
            break
        left -= len(name) + len(value)
        shown.append({"name": name, "value": value, "inline": inline})
    embed = {"title": _cut(title, _TITLE), "color": color, "fields": shown}
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}  # a sample that says `@everyone` calls nobody


def _losses(metrics: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Loss": _number(metrics.get("loss")),
        "Validation loss": _number(metrics.get("valLoss")),
    }


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) and math.isfinite(value) else ""


def _code(text: str) -> str:
    """Returns text as a block that shows it as it is: no marks of its own can end the block."""
    shown = text.replace("`", "\u02cb").replace("\0", "")
    return f"```\n{_cut(shown, _FIELD_VALUE - 8)}\n```"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)] + "\u2026" if length > 0 else ""
