"""The sink `mlflow`, with MLflow's own store of files."""

from pathlib import Path
from typing import Any

import pytest

from alpha_core.errors import ConfigError
from alpha_core.observer import RunInfo, Sample
from alpha_report.mlflow_sink import MlflowSink
from alpha_testkit import SinkConformance


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path / 'mlflow'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "alpha-test")


@pytest.fixture
def client(tmp_path: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"file://{tmp_path / 'mlflow'}")


class TestMlflow(SinkConformance):
    sink_class = MlflowSink


def test_what_was_logged_is_what_mlflow_reads(client: Any, run: RunInfo) -> None:
    sink = MlflowSink(run)
    sink.on_start(run)
    for step in range(1, 31):
        sink.on_step({"step": step, "loss": 1.0 / step, "gradNorm": float("nan"), "odd name!": 1, "note": "text"})
    sink.on_samples(30, [Sample(prompt="once ", output="upon"), Sample(prompt="", output="a time")])
    sink.on_finish({"status": "stopped", "step": 30})
    sink.close()
    resumed = MlflowSink(run)
    resumed.on_start(run)
    resumed.on_step({"step": 31, "loss": 0.5})
    resumed.on_finish({"status": "completed", "step": 31})
    resumed.close()

    experiment = client.get_experiment_by_name("alpha-test")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == run.run_id
    assert found.info.status == "FINISHED"
    assert found.data.params["train.lr"] == "0.1"
    assert found.data.params["parameters"] == "1234"
    losses = [(metric.step, metric.value) for metric in client.get_metric_history(found.info.run_id, "loss")]
    assert sorted(losses) == [*[(step, 1.0 / step) for step in range(1, 31)], (31, 0.5)]
    assert len(client.get_metric_history(found.info.run_id, "odd name_")) == 30
    assert "gradNorm" not in found.data.metrics
    (artifact,) = client.list_artifacts(found.info.run_id, "samples")
    text = Path(client.download_artifacts(found.info.run_id, artifact.path)).read_text()
    assert text == "--- 1 ---\nonce upon\n\n--- 2 ---\na time"


def test_a_run_that_breaks_off_counts_as_failed(client: Any, run: RunInfo) -> None:
    sink = MlflowSink(run)
    sink.on_start(run)
    sink.close()
    experiment = client.get_experiment_by_name("alpha-test")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FAILED"


def test_without_an_address_the_sink_says_what_to_set(run: RunInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(ConfigError, match="needs `MLFLOW_TRACKING_URI`"):
        MlflowSink(run)
