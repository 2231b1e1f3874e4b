"""A run from its configuration: find the parts by name, make or reopen the run folder, train, and keep checkpoints."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from alpha_core.backend import Backend
from alpha_core.config import RunConfig, TrainConfig, config_hash, to_dict
from alpha_core.descriptors import MetricSinkInfo
from alpha_core.errors import CheckpointError, UsageError
from alpha_core.observer import Event, Observer, RunInfo
from alpha_core.plugins import Plugins
from alpha_core.run_id import new_run_id
from alpha_core.schedule import Schedule
from alpha_model import GPT
from alpha_model.activation import Activation
from alpha_model.parameters import parameter_count
from alpha_train.checkpoint import Checkpoint, check_tokenizer
from alpha_train.data import Dataset
from alpha_train.data import Progress as DataProgress
from alpha_train.flops import flops_per_token
from alpha_train.loop import TrainResult, train, training_windows
from alpha_train.observers import Observers
from alpha_train.parent import Parent
from alpha_train.progress import Progress
from alpha_train.run_data import data_of_new_run, data_of_run
from alpha_train.run_folder import RunFolder
from alpha_train.run_knobs import check_knobs, recorded_knobs, resumed_knobs, usable_knobs
from alpha_train.run_lock import run_lock
from alpha_train.sink_queue import SinkQueue
from alpha_train.trace import Tracer
from alpha_train.trainer import Trainer
from alpha_train.units import duration_text

__all__ = ["FIXED_SETTINGS", "FinishedRun", "resume_run", "start_run"]

FIXED_SETTINGS = ("data", "text_key", "tokenizer", "validation_fraction", "optimizer", "precision", "seed")
"""Training settings that a resumed run keeps; the model's are all kept."""

_REFERENCE_SPEED = 40e9
"""Operations a second of `cpu_ref` on one thread, as measured with the model of the domain `python`."""
_LONG = 3600.0  # seconds


@attrs.frozen(kw_only=True)
class FinishedRun:
    """A run that ended, and where its files are."""

    folder: RunFolder
    result: TrainResult

    def to_json(self) -> dict[str, Any]:
        """Returns what a program wants to know about the run that it started."""
        return {"runId": self.folder.run_id, "folder": str(self.folder.path), **self.result.to_json()}


@attrs.frozen(kw_only=True)
class _Parts:
    """What the names in a configuration stand for. Made first, so that a wrong name fails before any work."""

    backend: Backend
    activation: Activation
    optimizer: Any
    schedule: Schedule
    sinks: Sequence[MetricSinkInfo]

    @classmethod
    def of(cls, config: RunConfig, plugins: Plugins, sinks: Sequence[str] | None) -> "_Parts":
        return cls(
            activation=Activation.of(plugins.activations.get(config.model.activation)),
            optimizer=plugins.optimizers.get(config.train.optimizer).load(),
            schedule=plugins.schedules.get(config.train.schedule).load(),
            sinks=[plugins.metric_sinks.get(name) for name in (config.train.sinks if sinks is None else sinks)],
            backend=plugins.choose_backend(config.train.backend).load(),
        )


Note = Callable[[str], None]


def start_run(
    config: RunConfig,
    plugins: Plugins,
    *,
    parent: Parent | None = None,
    prompts: Sequence[str] = (),
    observer: Observer | None = None,
    sinks: Sequence[str] | None = None,
    stop: Callable[[], str | None] = lambda: None,
    status_wanted: Callable[[], bool] = lambda: False,
    tracer: Tracer | None = None,
    note: Note = lambda text: None,
    progress: DataProgress = lambda activity, done, total: None,
) -> FinishedRun:
    """Trains a new model in a new run folder below `config.train.runs_dir`, from initial weights or from a `parent`'s.

    `note` is told what a person should know, `progress` how far reading and tokenizing have come. `sinks` take the
    place of the configured ones this time. For `stop`, `status_wanted` and `tracer` see `alpha_train.loop.train`. The
    vocabulary size is the tokenizer's, whatever the configuration says. Raises `UsageError`, before any work, if the
    model does not fit its parent.
    """
    parts = _Parts.of(config, plugins, sinks)
    check_knobs(config.train, parts.backend)
    if parent is not None:
        config = attrs.evolve(config, model=parent.child_config(config.model))
        parent.check(GPT(config.model, parts.activation))
    dataset = data_of_new_run(config.train, plugins, note=note, progress=progress)
    model_config = attrs.evolve(config.model, vocab_size=dataset.tokenizer.vocab_size)
    config = attrs.evolve(config, model=model_config)
    training_windows(dataset, model_config.block_size, config.train)  # too little text fails before the folder is made
    trainer = _trainer(config, parts, initialize=parent is None)
    environment = _environment(trainer.backend)
    started = [Event(kind="training_started", message="training started", step=0, payload=environment)]
    if parent is not None:
        started.append(parent.give(trainer, dataset.tokenizer, config.train.optimizer))
        note(started[-1].message)
    config = attrs.evolve(config, train=recorded_knobs(config.train, parts.backend))
    _warn_of_long_run(trainer, config.train, note)
    folder = RunFolder.create(Path(config.train.runs_dir), new_run_id(config.train.tag), to_dict(config))
    with run_lock(folder.path):
        folder.write_tokenizer(dataset.tokenizer.to_artifacts())
        so_far = Progress(earlier_steps=trainer.earlier_steps)
        run = _Run(config, parts, trainer, dataset, folder, so_far, note)
        return run.train(prompts, observer, stop, status_wanted, tracer, started)


def resume_run(
    folder: RunFolder,
    config: RunConfig,
    plugins: Plugins,
    *,
    prompts: Sequence[str] = (),
    observer: Observer | None = None,
    sinks: Sequence[str] | None = None,
    stop: Callable[[], str | None] = lambda: None,
    status_wanted: Callable[[], bool] = lambda: False,
    tracer: Tracer | None = None,
    note: Note = lambda text: None,
    progress: DataProgress = lambda activity, done, total: None,
) -> FinishedRun:
    """Continues a run from its latest checkpoint, exactly as if it had not ended.

    `config` is that of the run folder; it may have been changed, but not the model, what `FIXED_SETTINGS` names, and
    knobs of the backend that change results. Other parameters are those of `start_run`. Raises `UsageError` while
    another process trains in that folder.
    """
    parts = _Parts.of(config, plugins, sinks)
    with run_lock(folder.path):
        checkpoint = folder.latest_checkpoint()
        for text in checkpoint.notes:
            note(text)
        artifacts = folder.read_tokenizer()
        _check_model(checkpoint, config, artifacts)
        _check_training(checkpoint, config)
        tokenizer = plugins.load_tokenizer(artifacts)
        dataset = data_of_run(config.train, checkpoint, tokenizer, note=note, progress=progress)
        stored_knobs = (checkpoint.train_config or {}).get("knobs", ())
        config = attrs.evolve(config, train=resumed_knobs(config.train, stored_knobs, parts.backend, note))
        trainer = _trainer(config, parts, initialize=False)
        config = attrs.evolve(config, train=recorded_knobs(config.train, parts.backend))
        folder.write_config(to_dict(config))
        so_far = Progress.from_json(checkpoint.extra)
        if so_far.best_validation_loss is not None and so_far.best_step in folder.checkpoint_steps():
            # A crash may have come between that checkpoint and the note of it.
            folder.record_best(so_far.best_step, so_far.best_validation_loss)
        trainer.restore(checkpoint.parameters, checkpoint.optimizer_state, checkpoint.step, so_far.earlier_steps)
        if trainer.loss_scale is not None:
            trainer.loss_scale.restore(checkpoint.extra.get("lossScale", {}))
        run = _Run(config, parts, trainer, dataset, folder, so_far, note)
        message, environment = f"resumed at step {checkpoint.step}", _environment(trainer.backend)
        started = [Event(kind="run_resumed", message=message, step=checkpoint.step, payload=environment)]
        return run.train(prompts, observer, stop, status_wanted, tracer, started)


class _Run:
    """The parts of one call of `start_run` or `resume_run`."""

    def __init__(
        self,
        config: RunConfig,
        parts: _Parts,
        trainer: Trainer,
        dataset: Dataset,
        folder: RunFolder,
        progress: Progress,
        note: Note,
    ) -> None:
        self.config, self.parts, self.trainer, self.dataset = config, parts, trainer, dataset
        self.folder, self.progress, self.note = folder, progress, note
        self.observer: Observer = Observer()

    def train(
        self,
        prompts: Sequence[str],
        observer: Observer | None,
        stop: Callable[[], str | None],
        status_wanted: Callable[[], bool],
        tracer: Tracer | None,
        started: Sequence[Event],
    ) -> FinishedRun:
        self._warn_of_early_stop()
        prompts = prompts or [self._first_words()]
        sinks = SinkQueue(self.parts.sinks, on_problem=lambda event: self.note(event.message))
        self.observer = Observers(sinks, *([observer] if observer is not None else []))
        with sinks:
            self.observer.on_start(self._info())
            for event in started:
                self.observer.on_event(event)
            try:
                result = train(
                    self.trainer,
                    self.dataset,
                    self.config.train,
                    observer=self.observer,
                    schedule=self.parts.schedule,
                    sample_config=self.config.sample,
                    prompts=prompts,
                    progress=self.progress,
                    save=self._save,
                    stop=stop,
                    status_wanted=status_wanted,
                    tracer=tracer,
                )
            except BaseException as error:
                failed = TrainResult(status="failed", step=self.trainer.step, progress=self.progress)
                self.observer.on_finish({**failed.to_json(), "error": str(error)})
                raise
            if result.status == "completed":
                done = Event(kind="training_complete", message="training complete", step=result.step)
                self.observer.on_event(done)
            self.observer.on_finish(result.to_json())
        return FinishedRun(folder=self.folder, result=result)

    def _first_words(self) -> str:
        """Returns how the validation text begins, to continue where a domain brings no prompts."""
        tokens = self.dataset.validation.tokens if len(self.dataset.validation.tokens) else self.dataset.train.tokens
        return self.dataset.tokenizer.decode(tokens[:8].tolist())

    def _info(self) -> RunInfo:
        return RunInfo(
            run_id=self.folder.run_id,
            folder=self.folder.path,
            config=to_dict(self.config),
            parameters=parameter_count(self.trainer.model.parameter_specs),
            iters=self.config.train.iters,
            start_step=self.trainer.step,
            train_tokens=len(self.dataset.train.tokens),
            validation_tokens=len(self.dataset.validation.tokens),
            backend=self.trainer.backend.description,
        )

    def _warn_of_early_stop(self) -> None:
        train = self.config.train
        if train.early_stop and not (train.eval_interval and len(self.dataset.validation.tokens) > 1):
            self.note("`early_stop` does nothing without `eval_interval` and text that is held out")

    def _save(self, trainer: Trainer, progress: Progress) -> None:
        """Writes a checkpoint, and notes whether it is the best, which is then never removed."""
        step = trainer.step
        checkpoint = Checkpoint(
            step=step,
            optimizer_step=step - progress.skipped_steps,
            model_config=attrs.asdict(self.config.model),
            train_config=to_dict(self.config)["train"],
            config_hash=config_hash(self.config),
            seed=self.config.train.seed,
            tokenizer_artifacts=self.dataset.tokenizer.to_artifacts(),
            activation_graph=self.parts.activation.to_json(),
            extra={
                **progress.to_json(),
                **_loss_scale(trainer),
                "dataset": self.dataset.key,
                "content": self.dataset.content,
            },
            parameters=trainer.parameters_on_host(),
            optimizer_state=trainer.state_on_host(),
        )
        val_loss = progress.best_validation_loss if progress.best_step == step else None
        path = self.folder.save_checkpoint(checkpoint, keep=self.config.train.keep, val_loss=val_loss)
        self.observer.on_event(
            Event(kind="checkpoint_saved", message=f"checkpoint `{path}`", step=step, payload={"path": str(path)})
        )


def _loss_scale(trainer: Trainer) -> dict[str, Any]:
    return {} if trainer.loss_scale is None else {"lossScale": trainer.loss_scale.to_json()}


def _warn_of_long_run(trainer: Trainer, config: TrainConfig, note: Note) -> None:
    """Notes how long a run of hours on the reference backend may take: the default sizes are meant for faster ones."""
    if trainer.backend.name != "cpu_ref":
        return
    model = trainer.model
    tokens = config.iters * config.batch_size * config.accum_steps * model.config.block_size
    seconds = tokens * flops_per_token(model.config, model.parameter_specs).training / _REFERENCE_SPEED
    if seconds > _LONG:
        note(
            f"on `cpu_ref` this run may take {duration_text(seconds)}; `alpha plan` tells more, and the model of"
            " `--domain=python` is an example of a small one"
        )


def _trainer(config: RunConfig, parts: _Parts, *, initialize: bool = True) -> Trainer:
    model = GPT(config.model, parts.activation)
    train = usable_knobs(config.train, parts.backend)
    return Trainer(model, parts.backend, train, parts.optimizer(train), initialize=initialize)


def _check_training(checkpoint: Checkpoint, config: RunConfig) -> None:
    """Raises `UsageError` for changes of the text or of what the checkpoint's tensors mean, and for too few steps."""
    before, here = checkpoint.train_config or {}, to_dict(config)["train"]
    for key in FIXED_SETTINGS:
        if before.get(key, here[key]) != here[key]:
            raise UsageError(
                f"`{key}` is `{before[key]}` in this run and cannot become `{here[key]}` when it is resumed",
                hint="start a new run instead",
            )
    if config.train.iters < checkpoint.step:
        raise UsageError(
            f"the run is at step {checkpoint.step} already, and `iters` is {config.train.iters}",
            hint="give `--iters` the step at which it should end",
        )


def _check_model(checkpoint: Checkpoint, config: RunConfig, tokenizer: Mapping[str, Any]) -> None:
    """Raises `CheckpointError` if the checkpoint is of another model or tokenizer than the run folder's."""
    here = attrs.asdict(config.model)
    changed = [
        f"`{key}` is {checkpoint.model_config.get(key)!r} in the checkpoint, {here[key]!r} in the configuration"
        for key in here
        if checkpoint.model_config.get(key) != here[key]
    ]
    if changed:
        raise CheckpointError(
            f"the run cannot be resumed with another model: {'; '.join(changed)}", hint="start a new run instead"
        )
    check_tokenizer(checkpoint, tokenizer)


def _environment(backend: Backend) -> dict[str, Any]:
    """Returns what computed, for the record."""
    return {
        "backend": backend.description,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "alpha": {f"alpha-{name}": version(f"alpha-{name}") for name in ("core", "autograd", "model", "train")},
    }
