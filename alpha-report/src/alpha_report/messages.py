"""What the remote reporter says: the records of a run, and the messages that carry them to a server."""

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from alpha_core.infrastructure import infrastructure
from alpha_core.observer import Event, RunInfo, Sample

__all__ = [
    "body_of",
    "complete",
    "event",
    "heartbeat",
    "metrics",
    "run_start",
    "samples",
    "upload_failed",
    "uploaded",
]


def run_start(run: RunInfo) -> dict[str, Any]:
    """The run begins or resumes: its configuration, and where it computes."""
    config = run.config
    return {
        "type": "run_start",
        "time": _now(),
        "domain": config.get("domain"),
        "modelConfig": config.get("model", {}),
        "trainConfig": config.get("train", {}),
        "sampleConfig": config.get("sample", {}),
        "totalParams": run.parameters,
        "startStep": run.start_step,
        "trainTokens": run.train_tokens,
        "validationTokens": run.validation_tokens,
        "folder": str(run.folder.absolute()) if run.folder is not None else None,
        "infra": {**infrastructure(), "backend": run.backend},
    }


def metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    """A step; `body_of` puts several into one message."""
    return {"type": "metrics", "metrics": [row]}


def event(event: Event) -> dict[str, Any]:
    """Something happened once; by its time it is recognized when it comes twice."""
    return {
        "type": "event",
        "event": {
            "step": event.step,
            "level": event.level,
            "kind": event.kind,
            "message": event.message,
            "payload": event.payload,
            "time": event.time,
        },
    }


def samples(step: int, samples: Sequence[Sample]) -> dict[str, Any]:
    """The model wrote texts."""
    rows = [
        {"idx": index, "prompt": sample.prompt, "output": sample.output, "time": sample.time}
        for index, sample in enumerate(samples)
    ]
    return {"type": "samples", "step": step, "samples": rows}


def heartbeat(step: int) -> dict[str, Any]:
    """The run lives."""
    return {"type": "heartbeat", "step": step, "time": _now()}


def complete(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The run ended; `status` says how."""
    return {
        "type": "complete",
        "finalStep": summary.get("step"),
        "status": summary.get("status"),
        "summary": summary,
        "time": _now(),
    }


def uploaded(name: str) -> dict[str, Any]:
    """A file has arrived at the server, complete."""
    message = f"`{name}` is at the server"
    return event(Event(kind="checkpoint_uploaded", message=message, step=_step_of(name), payload={"file": name}))


def upload_failed(name: str, reason: str) -> dict[str, Any]:
    """A file was given up."""
    message = f"`{name}` was not uploaded: {reason}"
    return event(
        Event(
            kind="checkpoint_upload_failed",
            message=message,
            step=_step_of(name),
            level="warning",
            payload={"file": name, "error": reason},
        )
    )


def body_of(run_id: str, contents: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns records as the body of one request: a JSON list of messages, compressed with gzip."""
    messages: list[dict[str, Any]] = []
    for content in contents:
        if content["type"] == "metrics" and messages and messages[-1]["type"] == "metrics":
            messages[-1]["metrics"] += content["metrics"]
        else:
            messages.append({"runId": run_id, **content})
            if content["type"] == "metrics":
                messages[-1]["metrics"] = list(content["metrics"])
    text = json.dumps(messages, separators=(",", ":"), allow_nan=False)
    return gzip.compress(text.encode(), compresslevel=3, mtime=0)


def _step_of(name: str) -> int:
    digits = name.removeprefix("checkpoint-").removesuffix(".alph")
    return int(digits) if digits.isdecimal() else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
