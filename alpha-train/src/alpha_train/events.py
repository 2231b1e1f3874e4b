"""Events that the training loop tells of, in words and numbers."""

import math
from collections.abc import Mapping
from typing import Any

from alpha_core.errors import AlphaError
from alpha_core.observer import Event
from alpha_train.progress import Progress
from alpha_train.spike import SpikeBackoff
from alpha_train.trainer import StepResult

__all__ = ["early_stop_event", "recovery_event", "sample_failure_event", "skip_event", "status_event"]


def skip_event(step: int, result: StepResult, progress: Progress) -> Event:
    """`loss_nan`, `grad_overflow`, `grad_non_finite` or `spike_skip`: a step was not applied.

    `progress` has counted it already.
    """
    skipped, scale = progress.skipped_steps, progress.backoff.scale
    if not math.isfinite(result.loss):
        kind, what = "loss_nan", f"the loss is {result.loss}"
    elif not math.isfinite(result.grad_norm) and result.loss_scale is not None:
        kind, what = "grad_overflow", f"gradients overflow f16 at the loss scale {result.loss_scale:g}, which is halved"
    elif not math.isfinite(result.grad_norm):
        kind, what = "grad_non_finite", f"the gradient norm is {result.grad_norm}"
    else:
        kind = "spike_skip"
        what = f"the gradient norm {result.grad_norm:.4g} is above the spike threshold; learning rate times {scale:g}"
    return Event(
        kind=kind,
        message=f"step {step} skipped: {what} ({skipped} skipped so far)",
        step=step,
        level="warning",
        payload={"loss": result.loss, "gradNorm": result.grad_norm, "skipped_steps": skipped, "lr_scale": scale},
    )


def recovery_event(step: int) -> Event:
    """`spike_recovered`: the learning rate is no longer scaled down."""
    calm = SpikeBackoff.RECOVERY_STEPS
    return Event(
        kind="spike_recovered",
        message=f"{calm} steps without a spike: the learning rate is the schedule's again",
        step=step,
        payload={"lr_scale": 1.0},
    )


def sample_failure_event(step: int, error: AlphaError) -> Event:
    """`sample_generation_failed`: the prompts could not be continued; training goes on."""
    return Event(
        kind="sample_generation_failed",
        message=f"no samples at step {step}: {error.message}",
        step=step,
        level="warning",
        payload={"error": error.message},
    )


def early_stop_event(step: int, progress: Progress) -> Event:
    """`early_stop`: validation has not improved for as long as was allowed."""
    best, loss = progress.best_step, progress.best_validation_loss
    found = "there was none" if best is None else f"the best, {loss:.4f}, was at step {best}"
    return Event(
        kind="early_stop",
        message=f"stopped early: {progress.evaluations_since_best} evaluations without a better loss; {found}",
        step=step,
        payload={"evaluations": progress.evaluations_since_best, "bestStep": best, "bestValLoss": loss},
    )


def status_event(metrics: Mapping[str, Any], iters: int, progress: Progress) -> Event:
    """`status_report`: how the run is doing, for someone who asked."""
    step, validation_loss = metrics["step"], metrics.get("valLoss")
    words = [f"loss {metrics['loss']:.4f}"]
    if validation_loss is not None:
        words.append(f"validation loss {validation_loss:.4f}")
    if progress.best_validation_loss is not None:
        words.append(f"best {progress.best_validation_loss:.4f} at step {progress.best_step}")
    words += [f"lr {metrics['lr']:.2e}", f"{metrics['tokens_per_sec']:.0f} tokens/s"]
    return Event(
        kind="status_report",
        message=f"step {step} of {iters}: {', '.join(words)}",
        step=step,
        payload={**metrics, "bestStep": progress.best_step, "bestValLoss": progress.best_validation_loss},
    )
