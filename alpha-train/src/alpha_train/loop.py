"""The training loop: a function of objects and an observer, without files, flags or signals of its own."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from alpha_core.config import SampleConfig, TrainConfig
from alpha_core.observer import Event, Observer, Sample
from alpha_core.schedule import Schedule
from alpha_train.data import Batch, Dataset, PackedWindows, RandomWindows, evaluation_batches
from alpha_train.sampler import Sampler
from alpha_train.schedules import cosine
from alpha_train.trainer import StepResult, Trainer

__all__ = ["Progress", "TrainResult", "train", "training_windows"]


@attrs.define
class Progress:
    """What a run has come to so far; a checkpoint keeps it, so that a resumed run goes on counting."""

    skipped_steps: int = 0
    """Steps that were not applied: not finite, or a spike."""
    loss: float | None = None
    """Training loss of the last step; None if it was not finite."""
    validation_loss: float | None = None
    """Validation loss of the last evaluation."""
    best_validation_loss: float | None = None
    best_step: int | None = None


@attrs.frozen(kw_only=True)
class TrainResult:
    """How a run ended."""

    status: str
    """`completed`, or `stopped` when it was asked to."""
    step: int
    progress: Progress


Save = Callable[[Trainer, Progress], None]


def train(
    trainer: Trainer,
    dataset: Dataset,
    config: TrainConfig,
    *,
    observer: Observer | None = None,
    schedule: Schedule = cosine,
    sample_config: SampleConfig | None = None,
    prompts: Sequence[str] = (),
    progress: Progress | None = None,
    save: Save | None = None,
    stop: Callable[[], str | None] = lambda: None,
) -> TrainResult:
    """Trains from the trainer's step up to `config.iters`.

    `save` is called where a checkpoint is due: every `resolved_checkpoint_interval` steps, after the best evaluation so
    far, at the end, and when `stop` returns a reason, which ends the run after the current step. Evaluations come every
    `eval_interval` steps and at the end, samples of `prompts` every `sample_interval` steps and at the end.
    """
    run = _Run(trainer, dataset, config, observer or Observer(), sample_config or SampleConfig(), prompts)
    run.progress = progress if progress is not None else Progress()
    batches = training_windows(dataset, trainer.model.config.block_size, config)
    step, reason, saved = trainer.step, stop(), trainer.step
    while step < config.iters and reason is None:
        step += 1
        metrics = run.step(step, batches, schedule(step, config))
        last = step == config.iters
        if _due(step, config.eval_interval) or last:
            metrics |= run.evaluate(step)
        run.observer.on_step(metrics)
        if _due(step, config.sample_interval) or (last and config.sample_interval):
            run.write_samples(step)
        reason = stop()
        best = run.progress.best_step == step
        if save is not None and (best or last or reason is not None or _due(step, config.resolved_checkpoint_interval)):
            save(trainer, run.progress)
            saved = step
    if save is not None and saved != step:
        save(trainer, run.progress)
    return TrainResult(status="completed" if step >= config.iters else "stopped", step=step, progress=run.progress)


def _due(step: int, interval: int) -> bool:
    return interval > 0 and step % interval == 0


def training_windows(dataset: Dataset, block_size: int, config: TrainConfig) -> RandomWindows | PackedWindows:
    """Returns where batches come from. Raises `DataError` if the text is shorter than a window."""
    kind = PackedWindows if config.packed else RandomWindows
    return kind(
        dataset.train.tokens,
        block_size=block_size,
        batch_size=config.batch_size,
        accum_steps=config.accum_steps,
        seed=config.seed,
    )


class _Run:
    """The parts of one call of `train`."""

    def __init__(
        self,
        trainer: Trainer,
        dataset: Dataset,
        config: TrainConfig,
        observer: Observer,
        sample_config: SampleConfig,
        prompts: Sequence[str],
    ) -> None:
        self.trainer, self.dataset, self.config, self.observer = trainer, dataset, config, observer
        self.sample_config, self.prompts = sample_config, prompts
        self.progress = Progress()
        self._sampler = Sampler(trainer.model, trainer.backend, trainer.parameters, dataset.tokenizer)
        self._started = time.perf_counter()

    def step(self, step: int, batches: RandomWindows | PackedWindows, learning_rate: float) -> dict[str, Any]:
        """Takes one optimizer step and returns its metrics."""
        began = time.perf_counter()
        tokens = 0
        for micro_step in range(self.config.accum_steps):
            batch: Batch = batches.batch(step - 1, micro_step)
            self.trainer.accumulate(batch)
            tokens += batch.target_count
        result = self.trainer.update(learning_rate)
        now = time.perf_counter()
        self.progress.loss = result.loss if math.isfinite(result.loss) else None
        if not result.applied:
            self.progress.skipped_steps += 1
            self.observer.on_event(_skip_event(step, result, self.progress.skipped_steps))
        return {
            "step": step,
            "loss": result.loss,
            "lr": learning_rate,
            "gradNorm": result.grad_norm,
            "clip_coef": result.clip_coefficient,
            "clip_pct": 100.0 * (1.0 - result.clip_coefficient),
            "elapsed_ms": 1000.0 * (now - self._started),
            "ms_per_iter": 1000.0 * (now - began),
            "tokens_per_sec": tokens / (now - began),
            "skipped_steps": self.progress.skipped_steps,
        }

    def evaluate(self, step: int) -> dict[str, Any]:
        """Computes the validation loss; returns it as a metric, or nothing when no text is held out."""
        tokens = self.dataset.validation.tokens
        if len(tokens) < 2:
            return {}
        loss = self.trainer.loss(
            evaluation_batches(
                tokens,
                block_size=self.trainer.model.config.block_size,
                batch_size=self.config.batch_size,
                limit=self.config.eval_iters,
            )
        )
        progress = self.progress
        progress.validation_loss = loss if math.isfinite(loss) else None
        known = progress.best_validation_loss
        best = math.isfinite(loss) and (known is None or loss < known)
        if best:
            progress.best_validation_loss, progress.best_step = loss, step
        self.observer.on_event(
            Event(
                kind="eval_summary",
                message=f"validation loss {loss:.4f}" + (" (best so far)" if best else ""),
                step=step,
                payload={"valLoss": loss, "loss": progress.loss, "best": best},
            )
        )
        return {"valLoss": loss}

    def write_samples(self, step: int) -> None:
        """Continues every prompt with the current weights."""
        config = self.sample_config
        samples = [
            Sample(prompt=prompt, output=self._sampler.sample(prompt, config, row))
            for prompt in self.prompts
            for row in range(config.num_samples)
        ]
        if samples:
            self.observer.on_samples(step, samples)


def _skip_event(step: int, result: StepResult, skipped: int) -> Event:
    if not math.isfinite(result.loss):
        kind, what = "loss_nan", f"the loss is {result.loss}"
    elif not math.isfinite(result.grad_norm):
        kind, what = "grad_non_finite", f"the gradient norm is {result.grad_norm}"
    else:
        kind, what = "spike_skip", f"the gradient norm {result.grad_norm:.4g} is above the spike threshold"
    return Event(
        kind=kind,
        message=f"step {step} skipped: {what} ({skipped} skipped so far)",
        step=step,
        level="warning",
        payload={"loss": result.loss, "gradNorm": result.grad_norm, "skipped_steps": skipped},
    )
