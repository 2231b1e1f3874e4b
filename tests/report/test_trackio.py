"""The sink `trackio`, which shares all but two arguments with `wandb`, with trackio's own local database."""

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from alpha_core.observer import RunInfo, Sample
from alpha_report.wandb_sink import TrackioSink
from alpha_testkit import SinkConformance

PROJECT = "alpha-test"


@pytest.fixture(scope="module", autouse=True)
def trackio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The package, which chooses its folder when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(tmp_path_factory.mktemp("trackio")))
        patch.setenv("TRACKIO_PROJECT", PROJECT)
        import trackio

        yield trackio


class TestTrackio(SinkConformance):
    sink_class = TrackioSink


def test_what_was_logged_is_what_trackio_reads(trackio: Any, run: RunInfo) -> None:
    run = attrs.evolve(run, run_id="read-back")
    sink = TrackioSink(run)
    sink.on_start(run)
    sink.on_step({"step": 1, "loss": 2.0, "gradNorm": float("nan"), "per_layer_grad_norms": {"wte": 0.5}})
    sink.on_step({"step": 2, "loss": 1.5, "valLoss": 1.75, "note": "text"})
    sink.on_samples(2, [Sample(prompt="once ", output="upon"), Sample(prompt="", output="a time")])
    sink.on_finish({"status": "completed", "step": 2, "loss": 1.5, "bestValLoss": 1.75})
    sink.close()
    resumed = TrackioSink(run)
    resumed.on_step({"step": 3, "loss": 1.25})
    resumed.close()

    (found,) = [found for found in trackio.Api().runs(PROJECT) if found.name == run.run_id]
    logged = trackio.SQLiteStorage.get_logs(PROJECT, found.name)
    losses = [(row["step"], row["loss"]) for row in logged if "loss" in row]
    assert losses == [(1, 2.0), (2, 1.5), (3, 1.25)]
    assert [row["per_layer_grad_norms/wte"] for row in logged if "per_layer_grad_norms/wte" in row] == [0.5]
    assert [row["valLoss"] for row in logged if "valLoss" in row] == [1.75]
    assert [row["final/bestValLoss"] for row in logged if "final/bestValLoss" in row] == [1.75]
    assert not any("gradNorm" in row for row in logged)
    (table,) = [row["samples"] for row in logged if "samples" in row]
    assert "upon" in str(table)
    assert "a time" in str(table)
    config = trackio.SQLiteStorage.get_run_config(PROJECT, found.name)
    assert config["domain"] == "novels"
    assert config["parameters"] == 1234


def test_runs_without_a_folder_are_tracked_too(trackio: Any) -> None:
    sink = TrackioSink(RunInfo(run_id="no-folder", folder=None, config={}, parameters=1, iters=1))
    sink.on_step({"step": 1, "loss": 1.0})
    sink.close()
    assert [row["loss"] for row in trackio.SQLiteStorage.get_logs(PROJECT, "no-folder")] == [1.0]
