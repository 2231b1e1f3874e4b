"""The jsonl sink: valid JSON, one line for each record, and nothing lost by crashes or resumption."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpha_core.errors import UsageError
from alpha_core.observer import Event, RunInfo, Sample
from alpha_train.jsonl_sink import JsonlSink
from alpha_train.run_folder import RunFolder


def run_info(folder: Path | None) -> RunInfo:
    return RunInfo(run_id="r", folder=folder, config={}, parameters=1, iters=10)


def lines(path: Path) -> list[Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text("utf-8").splitlines()]


def test_records_are_on_disk_at_once(tmp_path: Path) -> None:
    sink = JsonlSink(run_info(tmp_path))
    sink.on_step({"step": 1, "loss": 2.5})
    sink.on_event(Event(kind="checkpoint_saved", message="saved", step=1, payload={"path": Path("x")}))
    sink.on_samples(1, [Sample(prompt="a", output="b\n"), Sample(prompt="c", output="ü\ud800")])
    assert lines(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2.5}]
    (event,) = lines(tmp_path / "events.jsonl")
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "step": 1,
        "level": "info",
        "kind": "checkpoint_saved",
        "message": "saved",
        "payload": {"path": "x"},
    }
    samples = lines(tmp_path / "samples.jsonl")
    assert [(row["step"], row["idx"], row["prompt"], row["output"]) for row in samples] == [
        (1, 0, "a", "b\n"),
        (1, 1, "c", "ü\ud800"),
    ]
    sink.close()


def test_what_json_has_not_becomes_the_nearest_that_it_has(tmp_path: Path) -> None:
    sink = JsonlSink(run_info(tmp_path))
    sink.on_step(
        {
            "step": np.int64(3),
            "loss": float("nan"),
            "gradNorm": np.float32("inf"),
            "per_layer_grad_norms": np.array([1.0, np.nan]),
            "half": np.float16(0.5),
            "flag": np.bool_(True),
            "nested": {"values": (1, float("-inf")), 7: {2}},
            "none": None,
        }
    )
    sink.close()
    assert lines(tmp_path / "metrics.jsonl") == [
        {
            "step": 3,
            "loss": None,
            "gradNorm": None,
            "per_layer_grad_norms": [1.0, None],
            "half": 0.5,
            "flag": True,
            "nested": {"values": [1, None], "7": [2]},
            "none": None,
        }
    ]


def test_a_resumed_run_appends_on_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "los')
    for step in (2, 3):
        sink = JsonlSink(run_info(tmp_path))
        sink.on_step({"step": step})
        sink.close()
    log = RunFolder(tmp_path).read_metrics()
    assert [row["step"] for row in log.rows] == [1, 2, 3]
    assert log.skipped == 1


def test_a_run_without_a_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a run folder"):
        JsonlSink(run_info(None))
