"""A run in one line."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from alpha_core.config import RunConfig, from_dict
from alpha_core.errors import AlphaError
from alpha_core.plugins import Plugins
from alpha_core.run_id import is_run_id
from alpha_model.activation import Activation
from alpha_model.parameters import parameter_count, parameter_specs
from alpha_train.run_folder import RunFolder
from alpha_train.runs.status import run_status

__all__ = ["RunSummary", "summarize"]


@attrs.frozen(kw_only=True)
class RunSummary:
    """What there is to know of a run at a glance; `None` where its files do not tell."""

    run_id: str
    folder: str
    created: datetime
    status: str
    """A `RunStatus`, or `unreadable`."""
    config: RunConfig | None = None
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

    @property
    def iters(self) -> int | None:
        return self.config.train.iters if self.config is not None else None

    @property
    def domain(self) -> str | None:
        return self.config.domain if self.config is not None else None

    def number(self, metric: str) -> float | None:
        """Returns one of the last metrics, if it is a finite number."""
        value = self.metrics.get(metric)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)

    def to_json(self) -> dict[str, Any]:
        """Returns the figures under the names of the run files."""
        return {
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


def summarize(folder: RunFolder, plugins: Plugins) -> RunSummary:
    """Returns the summary of a run. A run whose files are damaged is `unreadable`, which is no reason to fail."""
    common: dict[str, Any] = {"run_id": folder.run_id, "folder": str(folder.path), "created": _created(folder)}
    try:
        config = from_dict(folder.read_config(), source=f"`{folder.path / 'config.json'}`")
        best = folder.read_best()
        return RunSummary(
            **common,
            status=run_status(folder, iters=config.train.iters).value,
            config=config,
            parameters=_parameters(config, plugins),
            metrics=folder.read_last_metrics() or {},
            best_val_loss=best.val_loss if best is not None else None,
            best_step=best.step if best is not None else None,
        )
    except AlphaError as error:
        return RunSummary(**common, status="unreadable", problem=error.message)
    except OSError as error:
        return RunSummary(**common, status="unreadable", problem=f"`{error.filename}`: {error.strerror}")


def _created(folder: RunFolder) -> datetime:
    """Returns the time in the run id, or if someone renamed the folder, of its first file."""
    if is_run_id(folder.run_id):
        try:
            return datetime.strptime(folder.run_id.split("_")[-2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:  # fourteen digits that are no time
            pass
    return datetime.fromtimestamp((folder.path / "config.json").stat().st_mtime, UTC)


def _parameters(config: RunConfig, plugins: Plugins) -> int | None:
    try:
        activation = Activation.of(plugins.activations.get(config.model.activation))
    except AlphaError:
        return None
    return parameter_count(parameter_specs(config.model, activation))
