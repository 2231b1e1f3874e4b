"""The training loop: a function of objects and an observer, without files, flags or signals of its own."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import attrs

from alpha_core.config import SampleConfig, TrainConfig
from alpha_core.errors import AlphaError, BackendError
from alpha_core.observer import Event, Observer, Sample
from alpha_core.schedule import Schedule
from alpha_train.data import Batch, Dataset, PackedWindows, RandomWindows, Windows, evaluation_batches
from alpha_train.degeneracy import degeneracy_warning
from alpha_train.events import early_stop_event, recovery_event, sample_failure_event, skip_event, status_event
from alpha_train.flops import flops_per_token
from alpha_train.progress import Progress
from alpha_train.sampling import Sampler
from alpha_train.schedules import cosine
from alpha_train.trace import Tracer, untraced
from alpha_train.trainer import Trainer

__all__ = ["TrainResult", "train", "training_windows"]


@attrs.frozen(kw_only=True)
class TrainResult:
    """How a run ended."""

    status: str
    """`completed`, `early_stopped` when validation stopped improving, or `stopped` when it was asked to."""
    step: int
    progress: Progress

    def to_json(self) -> dict[str, Any]:
        """Returns what `Observer.on_finish` is told."""
        progress = self.progress
        return {
            "status": self.status,
            "step": self.step,
            "loss": progress.loss,
            "valLoss": progress.validation_loss,
            "bestValLoss": progress.best_validation_loss,
            "bestStep": progress.best_step,
            "skipped_steps": progress.skipped_steps,
        }


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
    status_wanted: Callable[[], bool] = lambda: False,
    tracer: Tracer | None = None,
) -> TrainResult:
    """Trains from the trainer's step up to `config.iters`.

    `save` is called where a checkpoint is due: every `resolved_checkpoint_interval` steps, after the best evaluation so
    far, at the end, and when `stop` returns a reason, which ends the run after the current step. Evaluations come every
    `eval_interval` steps and at the end, samples of `prompts` every `sample_interval` steps and at the end. With
    `early_stop` so many regular evaluations in a row without a better validation loss are the end. When `status_wanted`
    returns true, the current step is evaluated, saved and reported beside all that, which changes nothing in training.
    A `tracer` notes what some of the steps spend their time on.
    """
    run = _Run(trainer, dataset, config, observer or Observer(), sample_config or SampleConfig(), prompts)
    run.phase = phase = untraced if tracer is None else tracer.phase
    run.progress = progress if progress is not None else Progress()
    batches = training_windows(dataset, trainer.model.config.block_size, config)
    step, reason = trainer.step, stop()
    while step < config.iters and reason is None and not run.is_exhausted:
        step += 1
        if tracer is not None:
            tracer.begin_step(trainer.backend)
        try:
            metrics = run.step(step, batches, schedule(step, config), look_ahead=step < config.iters)
        except BackendError as error:  # such as a device that is lost
            error.message = f"step {step}: {error.message}"
            raise
        asked, regular = status_wanted(), _due(step, config.eval_interval) or step == config.iters
        if regular or asked:
            with phase("evaluate"):
                metrics |= run.evaluate(step, regular=regular)
        run.observer.on_step(metrics)
        last = step == config.iters or run.is_exhausted
        if _due(step, config.sample_interval) or (last and config.sample_interval):
            with phase("sample"):
                run.write_samples(step)
        reason = stop()
        due = last or asked or reason is not None or _due(step, config.resolved_checkpoint_interval)
        if save is not None and (due or run.progress.best_step == step):
            with phase("checkpoint"):
                save(trainer, run.progress)
        if asked:
            run.report(metrics)
        if tracer is not None:
            tracer.end_step(trainer.backend)
    run.finish()
    if tracer is not None:
        tracer.finish(trainer.backend)
    return run.result(step)


def _due(step: int, interval: int) -> bool:
    return interval > 0 and step % interval == 0


def training_windows(dataset: Dataset, block_size: int, config: TrainConfig) -> Windows:
    """Returns where batches come from. Raises `DataError` if the text is shorter than a window."""
    kind = PackedWindows if config.packed else RandomWindows
    return kind(
        dataset.train.tokens,
        mask=dataset.train.mask,
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
        self.phase: Callable[..., AbstractContextManager[None]] = untraced
        flops = flops_per_token(trainer.model.config, trainer.model.parameter_specs)
        self._flops_per_token = flops.executed(recompute=config.activation_checkpointing)
        self._sampler = Sampler(trainer.model, trainer.backend, trainer.parameters, dataset.tokenizer)
        self._started = time.perf_counter()
        self._ahead: list[int] = []
        """Tokens of the next step's batches that are accumulated already."""

    def step(self, step: int, batches: Windows, learning_rate: float, *, look_ahead: bool) -> dict[str, Any]:
        """Takes one optimizer step and returns its metrics.

        With `look_ahead` a device gets the first batch of the next step before the host waits for this one's report, so
        that it has something to do meanwhile; what is computed is the same.
        """
        began = time.perf_counter()
        progress = self.progress
        learning_rate *= progress.backoff.scale
        counts, self._ahead = self._ahead, []
        for micro_step in range(len(counts), self.config.accum_steps):
            counts.append(self._accumulate(batches, step, micro_step))
        tokens = sum(counts)
        with self.phase("update"):
            pending = self.trainer.start_update(learning_rate)
            look_ahead = look_ahead and self.trainer.backend.is_asynchronous
            result = None if look_ahead else pending()
        if result is None:
            self._ahead.append(self._accumulate(batches, step + 1, 0))
            with self.phase("wait"):
                result = pending()
        now = time.perf_counter()
        progress.loss = result.loss if math.isfinite(result.loss) else None
        progress.trend.add_step(result.loss)
        recovered = progress.backoff.add_step(applied=result.applied, spiked=result.spiked)
        if not result.applied:
            progress.skipped_steps += 1
            self.observer.on_event(skip_event(step, result, progress))
        if recovered:
            self.observer.on_event(recovery_event(step))
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
            "skipped_steps": progress.skipped_steps,
            **({} if result.loss_scale is None else {"loss_scale": result.loss_scale}),
        }

    def _accumulate(self, batches: Windows, step: int, micro_step: int) -> int:
        """Accumulates one batch and returns how many tokens it has."""
        with self.phase("data"):
            batch: Batch = batches.batch(step - 1, micro_step)
        with self.phase("accumulate", self._flops_per_token * batch.tokens.size):
            self.trainer.accumulate(batch)
        return batch.target_count

    def finish(self) -> None:
        """Forgets what was accumulated for a step that does not come."""
        if self._ahead:
            self.trainer.discard()

    def evaluate(self, step: int, *, regular: bool) -> dict[str, Any]:
        """Computes the validation loss; returns it as a metric, or nothing when no text is held out.

        Only a `regular` evaluation counts for the trend and for early stopping, so that asking for more ends no run.
        """
        tokens = self.dataset.validation.tokens
        if len(tokens) < 2:
            return {}
        loss = self.trainer.loss(
            evaluation_batches(
                tokens,
                mask=self.dataset.validation.mask,
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
            progress.evaluations_since_best = 0
        elif regular:
            progress.evaluations_since_best += 1
        self.observer.on_event(
            Event(
                kind="eval_summary",
                message=f"validation loss {loss:.4f}" + (" (best so far)" if best else ""),
                step=step,
                payload={"valLoss": loss, "loss": progress.loss, "best": best},
            )
        )
        warning = progress.trend.add_evaluation(step, loss) if regular else None
        if warning is not None:
            self.observer.on_event(warning)
        return {"valLoss": loss}

    def write_samples(self, step: int) -> None:
        """Continues every prompt with the current weights."""
        if not self.prompts:
            return
        try:
            completions = self._sampler.complete(self.prompts, self.sample_config)
        except AlphaError as error:  # no sample is worth the end of a run
            self.observer.on_event(sample_failure_event(step, error))
            return
        samples = [Sample(prompt=completion.prompt, output=completion.text) for completion in completions]
        self.observer.on_samples(step, samples)
        warning = degeneracy_warning(step, samples)
        if warning is not None:
            self.observer.on_event(warning)

    def report(self, metrics: Mapping[str, Any]) -> None:
        """Answers someone who wanted to know how the run is doing."""
        self.observer.on_event(status_event(metrics, self.config.iters, self.progress))

    @property
    def is_exhausted(self) -> bool:
        """Whether validation has not improved for as long as `early_stop` allows."""
        return 0 < self.config.early_stop <= self.progress.evaluations_since_best

    def result(self, step: int) -> TrainResult:
        """Returns how the run ended after `step`, having told of an early stop."""
        if step >= self.config.iters:
            status = "completed"
        elif self.is_exhausted:
            status = "early_stopped"
            self.observer.on_event(early_stop_event(step, self.progress))
        else:
            status = "stopped"
        return TrainResult(status=status, step=step, progress=self.progress)
