"""A run in one line."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from alpha_core.config import RunConfig, from_dict
from alpha_core.errors import AlphaError
from alpha_core.plugins import Plugins
from alpha_core.run_id import is_run_id
from alpha_core.run_store import StoredRun

if TYPE_CHECKING:
    from alpha_train.run_folder import RunFolder

__all__ = ["JSON_KEYS", "RunSummary", "created_of", "summarize", "summarize_stored"]

JSON_KEYS = (
    *("runId", "folder", "status", "problem", "created", "domain", "parameters", "step", "iters", "loss", "valLoss"),
    *("bestValLoss", "bestStep", "tokensPerSecond"),
)
_STATUS_OF_STORED = {"active": "running", "early_stopped": "early stopped"}
"""What `RunStatus` calls what a store calls otherwise."""


@attrs.frozen(kw_only=True)
class RunSummary:
    """What there is to know of a run at a glance; `None` where its files do not tell."""

    run_id: str
    folder: str | None
    created: datetime
    status: str
    """A `RunStatus`; of a stored run also `failed` or `stale`; or `unreadable`."""
    config: RunConfig | None = None
    """None for a stored run: it is not read for a glance."""
    domain: str | None = None
    iters: int | None = None
    parameters: int | None = None
    """None also when the plugin of its activation is not installed."""
    metrics: Mapping[str, Any] = attrs.field(factory=dict)
    """The last that were logged."""
    best_val_loss: float | None = None
    best_step: int | None = None
    problem: str | None = None
    """Why it is unreadable."""

    @property
    def step(self) -> int | None:
        return self.metrics.get("step")

    def number(self, metric: str) -> float | None:
        """Returns one of the last metrics, if it is a finite number."""
        value = self.metrics.get(metric)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)

    def to_json(self) -> dict[str, Any]:
        """Returns the figures, under `JSON_KEYS`: the names of the run files."""
        values = {
            "runId": self.run_id,
            "folder": self.folder,
            "status": self.status,
            "problem": self.problem,
            "created": self.created.isoformat(),
            "domain": self.domain,
            "parameters": self.parameters,
            "step": self.step,
            "iters": self.iters,
            "loss": self.number("loss"),
            "valLoss": self.number("valLoss"),
            "bestValLoss": self.best_val_loss,
            "bestStep": self.best_step,
            "tokensPerSecond": self.number("tokens_per_sec"),
        }
        assert tuple(values) == JSON_KEYS
        return values


def summarize(folder: "RunFolder", plugins: Plugins) -> RunSummary:
    """Returns the summary of a run. A run whose files are damaged is `unreadable`, which is no reason to fail."""
    from alpha_train.runs.status import run_status

    common: dict[str, Any] = {"run_id": folder.run_id, "folder": str(folder.path), "created": created_of(folder)}
    try:
        config = from_dict(folder.read_config(), source=f"`{folder.path / 'config.json'}`")
        best = folder.read_best()
        return RunSummary(
            **common,
            status=run_status(folder, iters=config.train.iters).value,
            config=config,
            domain=config.domain,
            iters=config.train.iters,
            parameters=_parameters(config, plugins),
            metrics=folder.read_last_metrics() or {},
            best_val_loss=best.val_loss if best is not None else None,
            best_step=best.step if best is not None else None,
        )
    except AlphaError as error:
        return RunSummary(**common, status="unreadable", problem=error.message)
    except OSError as error:
        return RunSummary(**common, status="unreadable", problem=f"`{error.filename}`: {error.strerror}")


def summarize_stored(run: StoredRun) -> RunSummary:
    """Returns the summary of a run of a store."""
    return RunSummary(
        run_id=run.run_id,
        folder=run.folder,
        created=run.created,
        status=_STATUS_OF_STORED.get(run.status, run.status),
        domain=run.domain,
        iters=run.iters,
        parameters=run.parameters,
        metrics=run.metrics,
        best_val_loss=run.best_val_loss,
        best_step=run.best_step,
    )


def created_of(folder: "RunFolder") -> datetime:
    """Returns the time in the run id, or if someone renamed the folder, of its first file."""
    if is_run_id(folder.run_id):
        try:
            return datetime.strptime(folder.run_id.split("_")[-2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:  # fourteen digits that are no time
            pass
    return datetime.fromtimestamp((folder.path / "config.json").stat().st_mtime, UTC)


def _parameters(config: RunConfig, plugins: Plugins) -> int | None:
    from alpha_model.activation import Activation
    from alpha_model.parameters import parameter_count, parameter_specs

    try:
        activation = Activation.of(plugins.activations.get(config.model.activation))
    except AlphaError:
        return None
    return parameter_count(parameter_specs(config.model, activation))
