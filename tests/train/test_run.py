"""Runs from start to end: files, resuming bit by bit, what is refused."""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from alpha_core import Observer, Plugins
from alpha_core.config import RunConfig, from_dict
from alpha_core.errors import CheckpointError, DataError, UnknownNameError, UsageError
from alpha_core.observer import Event, RunInfo, Sample
from alpha_train import RunFolder, resume_run, start_run
from alpha_train.checkpoint import read_checkpoint

MakeConfig = Callable[..., RunConfig]

VARIANTS: dict[str, dict[str, object]] = {
    "plain": {},
    "dropout and accumulation": {"dropout": 0.2, "accum_steps": 2},
    "packed, recomputed, f64": {"packed": True, "activation_checkpointing": True, "precision": "f64", "dropout": 0.1},
    "modern": {"position": "rotary", "norm": "rms", "activation": "swiglu", "qk_norm": True, "tie_embeddings": True},
    "lion, constant": {"optimizer": "lion", "schedule": "constant"},
    "adafactor, linear": {"optimizer": "adafactor", "schedule": "linear", "dropout": 0.1},
    "sgd, wsd": {"optimizer": "sgd", "schedule": "wsd", "nesterov": True},
    "muon": {"optimizer": "muon", "momentum": 0.95, "nesterov": True, "accum_steps": 2},
}


class Recorder(Observer):
    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def on_start(self, run: RunInfo) -> None:
        self.calls.append(("start", run))

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self.calls.append(("step", dict(metrics)))

    def on_event(self, event: Event) -> None:
        self.calls.append(("event", event))

    def on_samples(self, step: int, samples: Any) -> None:
        self.calls.append(("samples", (step, list(samples))))

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self.calls.append(("finish", dict(summary)))

    def of(self, kind: str) -> list[Any]:
        return [value for name, value in self.calls if name == kind]


class StopAfter:
    """Asks the run to stop once `checks` steps are done."""

    def __init__(self, checks: int) -> None:
        self.left = checks + 1  # the loop asks once before the first step

    def __call__(self) -> str | None:
        self.left -= 1
        return None if self.left > 0 else "the test"


def losses(folder: RunFolder) -> list[tuple[int, float, float | None]]:
    return [(row["step"], row["loss"], row.get("valLoss")) for row in folder.read_metrics().rows]


def stored_config(folder: RunFolder) -> RunConfig:
    return from_dict(folder.read_config())


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopping_and_resuming_changes_no_bit(variant: str, make_config: MakeConfig, plugins: Plugins) -> None:
    config = make_config(**VARIANTS[variant])
    straight = start_run(config, plugins).folder
    stopped = start_run(config, plugins, stop=StopAfter(6))
    assert (stopped.result.status, stopped.result.step) == ("stopped", 6)
    resumed = resume_run(stopped.folder, stored_config(stopped.folder), plugins)
    assert (resumed.result.status, resumed.result.step) == ("completed", 12)
    assert losses(stopped.folder) == losses(straight)
    ours, theirs = (folder.latest_checkpoint() for folder in (straight, stopped.folder))
    for name, array in ours.parameters.items():
        np.testing.assert_array_equal(theirs.parameters[name], array, err_msg=name)
    for name, slots in ours.optimizer_state.items():
        for slot, array in slots.items():
            np.testing.assert_array_equal(theirs.optimizer_state[name][slot], array, err_msg=f"{name}.{slot}")
            assert np.any(array != 0), f"{name}.{slot}: the moments are really those of the run"


def test_a_run_folder_holds_all_that_the_design_names(make_config: MakeConfig, plugins: Plugins) -> None:
    recorder = Recorder()
    config = make_config(sample_interval=6, tag="trial", keep=1)
    folder = start_run(config, plugins, prompts=["line "], observer=recorder).folder
    assert folder.run_id.startswith("trial_")
    names = {path.name for path in folder.path.iterdir()}
    assert names >= {"config.json", "metrics.jsonl", "events.jsonl", "samples.jsonl", "tokenizer.json", "best.json"}
    assert f"checkpoint-{config.train.iters}.alph" in names
    assert [row["step"] for row in folder.read_metrics().rows] == list(range(1, 13))
    assert [row["step"] for row in folder.read_metrics().rows if "valLoss" in row] == [4, 8, 12]
    events = [json.loads(line) for line in (folder.path / "events.jsonl").read_text().splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "training_started"
    assert kinds[-1] == "training_complete"
    assert kinds.count("eval_summary") == 3
    assert "checkpoint_saved" in kinds
    samples = [json.loads(line) for line in (folder.path / "samples.jsonl").read_text().splitlines()]
    assert [(sample["step"], sample["prompt"]) for sample in samples] == [(6, "line "), (12, "line ")]
    assert stored_config(folder).model.vocab_size == folder.read_tokenizer()["vocabSize"]
    (run,) = recorder.of("start")
    assert run.parameters == sum(array.size for array in folder.latest_checkpoint().parameters.values())
    assert recorder.of("finish")[0]["status"] == "completed"
    assert all(isinstance(sample, Sample) for _, batch in recorder.of("samples") for sample in batch)
    metrics = recorder.of("step")[0]
    assert {"step", "loss", "lr", "gradNorm", "elapsed_ms", "tokens_per_sec", "ms_per_iter", "clip_coef"} <= set(
        metrics
    )


def test_old_checkpoints_go_but_the_best_one_stays(make_config: MakeConfig, plugins: Plugins) -> None:
    config = make_config(iters=20, eval_interval=2, checkpoint_interval=2, keep=1, lr=0.5, warmup=-1)
    folder = start_run(config, plugins).folder
    best = folder.read_best()
    assert best is not None
    rows = {row["step"]: row["valLoss"] for row in folder.read_metrics().rows if "valLoss" in row}
    assert rows[best.step] == best.val_loss == min(rows.values())
    assert folder.checkpoint_steps() == sorted({best.step, 20})


def test_resuming_skips_a_damaged_checkpoint_and_says_so(make_config: MakeConfig, plugins: Plugins) -> None:
    config = make_config()
    straight = start_run(config, plugins).folder
    folder = start_run(config, plugins, stop=StopAfter(9)).folder
    newest = folder.checkpoint_path(9)
    newest.write_bytes(newest.read_bytes()[:-100])
    notes: list[str] = []
    resume_run(folder, stored_config(folder), plugins, note=notes.append)
    assert any("checkpoint-9.alph" in text for text in notes)
    assert losses(folder) == losses(straight)


def test_more_steps_can_be_asked_for(make_config: MakeConfig, plugins: Plugins) -> None:
    folder = start_run(make_config(), plugins).folder
    config = stored_config(folder)
    longer = attrs.evolve(config, train=attrs.evolve(config.train, iters=15))
    assert resume_run(folder, longer, plugins).result.step == 15
    assert stored_config(folder).train.iters == 15


def test_a_finished_run_resumes_to_nothing(make_config: MakeConfig, plugins: Plugins) -> None:
    folder = start_run(make_config(), plugins).folder
    before = folder.latest_checkpoint()
    result = resume_run(folder, stored_config(folder), plugins).result
    assert (result.status, result.step) == ("completed", 12)
    np.testing.assert_array_equal(folder.latest_checkpoint().parameters["wte"], before.parameters["wte"])


def test_another_model_is_refused(make_config: MakeConfig, plugins: Plugins) -> None:
    folder = start_run(make_config(), plugins).folder
    config = stored_config(folder)
    wider = attrs.evolve(config, model=attrs.evolve(config.model, n_embd=32, activation="relu"))
    with pytest.raises(
        CheckpointError, match="`n_embd` is 16 in the checkpoint, 32 in the configuration; `activation`"
    ):
        resume_run(folder, wider, plugins)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "other.txt"}, "`data` is `.*text.txt` in this run and cannot become `other.txt`"),
        ({"tokenizer": "word"}, "`tokenizer` is `char` in this run and cannot become `word`"),
        ({"seed": 7}, "`seed` is `42` in this run and cannot become `7`"),
        ({"iters": 5}, "the run is at step 12 already, and `iters` is 5"),
    ],
)
def test_what_cannot_change_is_refused_and_nothing_is_written(
    changes: dict[str, object], message: str, make_config: MakeConfig, plugins: Plugins
) -> None:
    folder = start_run(make_config(), plugins).folder
    config = stored_config(folder)
    changed = attrs.evolve(config, train=attrs.evolve(config.train, **changes))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        resume_run(folder, changed, plugins)
    assert stored_config(folder) == config


def test_another_tokenizer_is_refused(make_config: MakeConfig, plugins: Plugins) -> None:
    folder = start_run(make_config(), plugins).folder
    artifacts = folder.read_tokenizer()
    artifacts["vocab"] = list(reversed(artifacts["vocab"]))
    folder.write_tokenizer(artifacts)
    with pytest.raises(CheckpointError, match="made with another tokenizer"):
        resume_run(folder, stored_config(folder), plugins)


def test_a_changed_text_is_announced(make_config: MakeConfig, plugins: Plugins, text: Path, tmp_path: Path) -> None:
    folder = start_run(make_config(), plugins, stop=StopAfter(5)).folder
    shutil.rmtree(tmp_path / "cache")
    text.write_text(text.read_text().replace("fox", "cat"))
    notes: list[str] = []
    resume_run(folder, stored_config(folder), plugins, note=notes.append)
    assert any("has changed since the run was trained on it" in note for note in notes)


def test_a_diverging_run_skips_steps_counts_them_and_ends(make_config: MakeConfig, plugins: Plugins) -> None:
    recorder = Recorder()
    config = make_config(lr=1e30, warmup=-1, lr_min=1e30, grad_clip=0.0, weight_decay=0.0)
    finished = start_run(config, plugins, observer=recorder)
    skipped = [event for event in recorder.of("event") if event.kind in ("loss_nan", "grad_non_finite")]
    assert skipped
    assert finished.result.progress.skipped_steps == len(skipped)
    checkpoint = finished.folder.latest_checkpoint()
    assert checkpoint.optimizer_step == 12 - len(skipped)
    for line in (finished.folder.path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_failing_observer_is_told_that_the_run_failed(make_config: MakeConfig, plugins: Plugins) -> None:
    class Failing(Recorder):
        def on_step(self, metrics: Mapping[str, Any]) -> None:
            if metrics["step"] == 5:
                raise RuntimeError("the notebook's own mistake")

    recorder = Failing()
    with pytest.raises(RuntimeError, match="the notebook's own mistake"):
        start_run(make_config(), plugins, observer=recorder)
    assert recorder.of("finish")[0]["status"] == "failed"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adamv"}, "optimizer `adamv`"),
        ({"activation": "gelo"}, "activation `gelo`"),
        ({"tokenizer": "chars"}, "tokenizer `chars`"),
        ({"schedule": "cosin"}, "schedule `cosin`"),
        ({"sinks": ("jsonll",)}, "metric sink `jsonll`"),
        ({"backend": "cpu_reff"}, "backend `cpu_reff`"),
    ],
)
def test_a_wrong_name_fails_before_anything_is_made(
    settings: dict[str, object], message: str, make_config: MakeConfig, plugins: Plugins, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match=message) as caught:
        start_run(make_config(**settings), plugins)
    assert caught.value.hint is not None
    assert "did you mean" in caught.value.hint
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache").exists()


def test_too_little_text_is_refused_without_a_run_folder(
    make_config: MakeConfig, plugins: Plugins, text: Path, tmp_path: Path
) -> None:
    text.write_text("short")
    with pytest.raises(DataError, match="one window needs 17"):
        start_run(make_config(), plugins)
    assert not (tmp_path / "runs").exists()


def test_a_ready_tokenizer_can_be_used(make_config: MakeConfig, plugins: Plugins, tmp_path: Path) -> None:
    first = start_run(make_config(), plugins).folder
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(first.read_tokenizer()))
    second = start_run(make_config(tokenizer=str(file)), plugins).folder
    assert second.read_tokenizer() == first.read_tokenizer()


def test_the_checkpoint_says_what_is_needed_to_rebuild_the_model(make_config: MakeConfig, plugins: Plugins) -> None:
    folder = start_run(make_config(activation="kan"), plugins).folder
    checkpoint = read_checkpoint(folder.checkpoint_path(12))
    assert checkpoint.model_config["activation"] == "kan"
    assert checkpoint.activation_graph["gated"] is False
    assert checkpoint.seed == 42
    assert math.isfinite(checkpoint.extra["best_validation_loss"])
    assert "layer.0.mlp.act.c2" in checkpoint.parameters


def test_a_run_of_hours_on_the_reference_backend_is_announced(make_config: MakeConfig, plugins: Plugins) -> None:
    notes: list[str] = []
    long = make_config(iters=100_000_000, sinks=())
    start_run(long, plugins, stop=lambda: "at once", note=notes.append)
    assert [note for note in notes if "this run may take" in note]
    notes.clear()
    start_run(make_config(), plugins, note=notes.append)
    assert not [note for note in notes if "this run may take" in note]
