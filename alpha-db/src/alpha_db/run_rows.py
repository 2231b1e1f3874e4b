"""What happens in a run, and what its files say, as rows."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alpha_core.json_value import json_value
from alpha_core.observer import Event, Sample
from alpha_core.run_id import is_run_id
from alpha_db.connection import Value
from alpha_db.row import Row, stored_value, time_text
from alpha_db.schema import JSON_METRICS, METRIC_COLUMNS

__all__ = [
    "checkpoint_row",
    "config_columns",
    "created_at",
    "event_row",
    "event_rows",
    "metrics_row",
    "sample_row",
]

_MODEL_COLUMNS = ("vocab_size", "block_size", "n_layer", "n_embd", "n_head", "dropout")
_TRAIN_COLUMNS = ("batch_size", "lr", "seed", "backend", "tokenizer", "optimizer")


def config_columns(config: Mapping[str, Any]) -> dict[str, Value]:
    """Returns the columns of `runs` that say what a configuration, as `config.json` holds it, says."""
    model, train = _section(config, "model"), _section(config, "train")
    columns: dict[str, Any] = {
        "config_hash": _hash(config),
        "domain": config.get("domain"),
        **{key: model.get(key) for key in _MODEL_COLUMNS},
        "total_iters": train.get("iters"),
        **{key: train.get(key) for key in _TRAIN_COLUMNS},
        "model_config": _json(model),
        "train_config": _json(train),
        "sample_config": _json(_section(config, "sample")),
        "ffn_activation": model.get("activation"),
    }
    return {column: stored_value(json_value(value)) for column, value in columns.items()}


def created_at(run_id: str, otherwise: datetime) -> str:
    """Returns when a run was started, by its id, or if that says nothing, at another time."""
    if is_run_id(run_id):
        try:
            return time_text(datetime.strptime(run_id.split("_")[-2], "%Y%m%d%H%M%S").replace(tzinfo=UTC))
        except ValueError:  # fourteen digits that are no time
            pass
    return time_text(otherwise)


def metrics_row(run_id: str, metrics: Mapping[str, Any]) -> Row:
    """Returns the row of a step; metrics without a column of their own go into `extra`. Null is no value."""
    values: dict[str, Value] = {"run_id": run_id}
    extra: dict[str, Any] = {}
    for name, value in metrics.items():
        value = json_value(value)
        column = METRIC_COLUMNS.get(name)
        if column is not None and (name in JSON_METRICS or not isinstance(value, list | dict)):
            values[column] = stored_value(value)
        elif value is not None:
            extra[name] = value
    if extra:
        values["extra"] = json.dumps(extra)
    return Row("metrics", values)


def event_row(run_id: str, event: Event) -> Row:
    """Returns the row of an event."""
    return _row(
        "events",
        run_id=run_id,
        step=event.step,
        level=event.level,
        kind=event.kind,
        message=event.message,
        payload_json=_json(event.payload) if event.payload else None,
        created_at=event.time,
    )


def event_rows(run_id: str, event: Event, folder: Path) -> list[Row]:
    """Returns the rows that an event makes: its own, and what it says of the run or of a checkpoint in its folder."""
    rows = [event_row(run_id, event)]
    payload = event.payload
    if event.kind == "checkpoint_saved" and isinstance(payload.get("path"), str):
        path = folder / Path(payload["path"]).name
        rows.append(checkpoint_row(run_id, event.step, path, written_at=event.time))
    if event.kind == "weights_restored" and isinstance(payload.get("parent"), str):
        lineage = {"parent_run_ids": [payload["parent"]], "operator": "restore", "warm_start": payload.get("restore")}
        rows.append(_row("runs", run_id=run_id, **lineage))
    return rows


def sample_row(run_id: str, step: int, index: int, sample: Sample) -> Row:
    """Returns the row of a sample, the `index`-th of its step."""
    return _row(
        "samples",
        run_id=run_id,
        step=step,
        idx=index,
        prompt=sample.prompt,
        output=sample.output,
        created_at=sample.time,
    )


def checkpoint_row(run_id: str, step: int, path: Path, *, written_at: str | None = None) -> Row:
    """Returns the row of a checkpoint; its size is that of the file, if that is there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        size, modified = None, None
    else:
        size, modified = status.st_size, time_text(datetime.fromtimestamp(status.st_mtime, UTC))
    return _row(
        "checkpoints",
        run_id=run_id,
        step=step,
        filename=path.name,
        file_path=str(path.absolute()),
        file_size=size,
        created_at=written_at or modified,
    )


def _row(table: str, **values: Any) -> Row:
    return Row(table, {column: stored_value(value) for column, value in values.items()})


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    return section if isinstance(section, Mapping) else {}


def _json(value: Any) -> str:
    return json.dumps(json_value(value), separators=(",", ":"))


def _hash(config: Mapping[str, Any]) -> str:
    """The same as `alpha_core.config.config_hash` gives for a whole configuration."""
    canonical = json.dumps(json_value(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
