"""The `mlflow` metric sink."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from alpha_core.errors import ConfigError
from alpha_core.observer import MetricSink, RunInfo, Sample
from alpha_report.scalars import finite, flat_config, scalars_of

__all__ = ["MlflowSink"]

_BATCH = 1000  # metrics; what MLflow takes at once
_PARAMS = 100
_FLUSH_SECONDS = 2.0
_STATUSES = {"completed": "FINISHED", "early_stopped": "FINISHED", "stopped": "KILLED"}


class MlflowSink(MetricSink):
    """Logs settings, metrics, samples and the end of a run to the MLflow that `MLFLOW_TRACKING_URI` names.

    The experiment is `MLFLOW_EXPERIMENT_NAME` or `alpha`. A resumed run goes on in the MLflow run that is tagged with
    its id. Raises `ConfigError` without `MLFLOW_TRACKING_URI`.
    """

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            raise ConfigError("the sink `mlflow` needs `MLFLOW_TRACKING_URI`", hint="such as `http://127.0.0.1:5000`")
        self._client = MlflowClient(tracking_uri=uri)
        self._waiting: list[Metric] = []
        self._flushed = time.monotonic()
        self._status = "FAILED"
        self._id = self._run_of(run)

    def on_start(self, run: RunInfo) -> None:
        settings = {**flat_config(run.config), "parameters": run.parameters, "backend": run.backend}
        params = [Param(key, str(value)[:500]) for key, value in settings.items()]
        known = self._client.get_run(self._id).data.params
        new = [param for param in params if param.key not in known]  # MLflow never changes a parameter
        for start in range(0, len(new), _PARAMS):
            self._client.log_batch(self._id, params=new[start : start + _PARAMS])

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        moment = time.time_ns() // 1_000_000
        for name, value in finite(scalars_of(metrics)).items():
            self._waiting.append(Metric(_key(name), value, moment, metrics["step"]))
        if len(self._waiting) >= _BATCH or time.monotonic() > self._flushed + _FLUSH_SECONDS:
            self._flush()

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        text = "\n\n".join(f"--- {index} ---\n{s.prompt}{s.output}" for index, s in enumerate(samples, start=1))
        if text:
            self._client.log_text(self._id, text.replace("\0", "\ufffd"), f"samples/step-{step}.txt")

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self._status = _STATUSES.get(str(summary.get("status")), "FAILED")

    def close(self) -> None:
        self._flush()
        self._client.set_terminated(self._id, self._status)

    def _run_of(self, run: RunInfo) -> str:
        """Returns the MLflow run of this run, made if there is none yet."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "alpha"
        experiment = self._client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(name)
        tag = "alpha.run_id"
        found = self._client.search_runs([experiment_id], filter_string=f"tags.`{tag}` = '{run.run_id}'", max_results=1)
        if found:
            self._client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)
        made = self._client.create_run(experiment_id, run_name=run.run_id, tags={tag: run.run_id})
        return str(made.info.run_id)

    def _flush(self) -> None:
        for start in range(0, len(self._waiting), _BATCH):
            self._client.log_batch(self._id, metrics=self._waiting[start : start + _BATCH])
        self._waiting.clear()
        self._flushed = time.monotonic()


def _key(name: str) -> str:
    """Returns a name that MLflow takes: letters, digits, `_-./ ` and no more than 250."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-./ ") else "_" for c in name)[:250]
