"""New runs that start from the weights of another one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from tests.train.helpers import make_batch, make_trainer, state_of
from tests.train.test_commands import ALPHA, alpha, environment  # noqa: F401 (fixtures)
from tests.train.test_run import Recorder, StopAfter, stored_config

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.errors import DataError, UsageError
from alpha_tokenizers import BpeTokenizer, CharTokenizer
from alpha_train import RunFolder, load_run, resume_run, start_run
from alpha_train.checkpoint import Checkpoint, read_checkpoint
from alpha_train.parent import Parent, shared_tokens

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def parent_run(make_config: MakeConfig, plugins: Plugins) -> RunFolder:
    return start_run(make_config(eval_interval=6), plugins).folder


def child_config(parent: Parent, config: RunConfig, **changes: Any) -> RunConfig:
    tokenizer = parent.settings["train"]["tokenizer"]
    model = attrs.evolve(parent.stored.config.model, **changes)
    return attrs.evolve(config, model=model, train=attrs.evolve(config.train, tokenizer=tokenizer))


def first_checkpoint(folder: RunFolder) -> Checkpoint:
    return read_checkpoint(folder.checkpoint_path(folder.checkpoint_steps()[0]))


def restored(recorder: Recorder) -> dict[str, Any]:
    (event,) = [event for event in recorder.of("event") if event.kind == "weights_restored"]
    return dict(event.payload)


def test_an_optimizer_goes_on_in_a_run_that_starts_anew() -> None:
    """From one state, step 1 of a new run makes the update that step 4 of the old one makes."""
    old, new = make_trainer(), make_trainer()
    for seed in range(3):
        old.accumulate(make_batch(seed))
        old.update(1e-2)
    new.restore(old.parameters_on_host(), old.state_on_host(), step=0, earlier_steps=old.step)
    for trainer in (old, new):
        trainer.accumulate(make_batch(9))
        trainer.update(1e-2)
    assert (old.step, new.step) == (4, 1)
    for name, array in state_of(old).items():
        assert array.tobytes() == state_of(new)[name].tobytes()


def test_exact_keeps_the_optimizers_state_and_counts_its_steps(
    parent_run: RunFolder, make_config: MakeConfig, plugins: Plugins
) -> None:
    parent = Parent.read(parent_run, plugins)
    recorder = Recorder()
    config = child_config(parent, make_config(iters=4))
    child = start_run(config, plugins, parent=parent, observer=recorder).folder
    assert restored(recorder)["optimizerState"] == "the parent's"
    assert first_checkpoint(child).extra["earlier_steps"] == 12
    grandchild = start_run(config, plugins, parent=Parent.read(child, plugins, checkpoint="latest")).folder
    assert first_checkpoint(grandchild).extra["earlier_steps"] == 16


def test_a_child_with_the_parents_optimizer_resumes_bit_by_bit(
    parent_run: RunFolder, make_config: MakeConfig, plugins: Plugins
) -> None:
    parent = Parent.read(parent_run, plugins)
    config = child_config(parent, make_config())
    straight = start_run(config, plugins, parent=parent).folder
    stopped = start_run(config, plugins, parent=parent, stop=StopAfter(5)).folder
    resume_run(stopped, stored_config(stopped), plugins)
    one, other = straight.latest_checkpoint(), stopped.latest_checkpoint()
    assert one.step == other.step == 12
    assert one.extra["earlier_steps"] == other.extra["earlier_steps"] > 0
    for name, array in one.parameters.items():
        assert array.tobytes() == other.parameters[name].tobytes()


@pytest.mark.parametrize(
    ("mode", "changes", "train", "reason"),
    [
        ("exact", {}, {"optimizer": "lion"}, "new, for the parent's is that of `adamw`"),
        ("prefix", {"n_layer": 3}, {}, "new, for the model is another one"),
        ("project", {"n_embd": 24, "n_head": 4}, {}, "new, for the model is another one"),
        ("grow", {"n_embd": 24, "n_head": 3, "n_layer": 3}, {}, "new, for the model is another one"),
    ],
)
def test_another_model_or_optimizer_starts_with_a_new_state(
    mode: str, changes: Any, train: Any, reason: str, parent_run: RunFolder, make_config: MakeConfig, plugins: Plugins
) -> None:
    parent = Parent.read(parent_run, plugins, mode=mode)
    recorder, notes = Recorder(), list[str]()
    config = child_config(parent, make_config(iters=4, **train), **changes)
    child = start_run(config, plugins, parent=parent, observer=recorder, note=notes.append).folder
    payload = restored(recorder)
    assert (payload["restore"], payload["parent"], payload["parentStep"]) == (mode, parent_run.run_id, 12)
    assert payload["optimizerState"] == reason
    assert any(note.startswith(f"weights of run `{parent_run.run_id}`, step 12 ({mode}); ") for note in notes)
    assert first_checkpoint(child).extra["earlier_steps"] == 0
    assert (
        payload
        == json.loads(
            next(line for line in (child.path / "events.jsonl").read_text().splitlines() if "weights_restored" in line)
        )["payload"]
    )


def test_a_grown_run_begins_at_the_loss_of_its_parent(
    parent_run: RunFolder, make_config: MakeConfig, plugins: Plugins
) -> None:
    losses = {}
    for mode, changes in (("exact", {}), ("grow", {"n_embd": 32, "n_head": 4, "n_layer": 4, "ffn_width": 200})):
        parent = Parent.read(parent_run, plugins, mode=mode)
        config = child_config(parent, make_config(iters=1, eval_interval=0), **changes)
        child = start_run(config, plugins, parent=parent).folder
        losses[mode] = child.read_metrics().rows[0]["loss"]
    assert losses["grow"] == pytest.approx(losses["exact"], abs=1e-5)
    assert stored_config(child).model.norm_eps == 5e-6
    assert load_run(child, plugins, backend="cpu_ref").model.config.n_layer == 4


def test_a_model_that_does_not_fit_is_refused_before_any_work(
    parent_run: RunFolder, make_config: MakeConfig, plugins: Plugins, tmp_path: Path
) -> None:
    parent = Parent.read(parent_run, plugins, mode="grow")
    config = child_config(parent, make_config(data=str(tmp_path / "nothing.txt")), n_layer=1)
    with pytest.raises(UsageError, match="n_layer would shrink from 2 to 1"):
        start_run(config, plugins, parent=parent)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_tokens_are_found_by_what_they_are() -> None:
    one, other = CharTokenizer.train(["abc d"]), CharTokenizer.train(["cdef"])
    there, here = shared_tokens(one, other) or (np.array([]), np.array([]))
    assert [one.decode([i]) for i in there] == [other.decode([i]) for i in here]
    assert len(there) == 4  # c, d, the unknown symbol, the end of text
    assert shared_tokens(one, CharTokenizer.train(["abc d"])) is None
    bpe = BpeTokenizer.train(["abc abc abc"], vocab_size=262)
    there, here = shared_tokens(one, bpe) or (np.array([]), np.array([]))
    assert {one.decode([i]) for i in there} == {"a", "b", "c", "d", " ", "<|end_of_text|>"}
    assert [one.decode([i]) for i in there] == [bpe.decode([i]) for i in here]


def test_project_takes_another_vocabulary(
    parent_run: RunFolder, make_config: MakeConfig, plugins: Plugins, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text((tmp_path / "text.txt").read_text().replace("fox", "FOX"))
    for mode in ("exact", "grow"):
        parent = Parent.read(parent_run, plugins, mode=mode)
        config = make_config(data=str(other))
        with pytest.raises(UsageError, match="the tokenizer is another one"):
            start_run(attrs.evolve(config, model=parent.stored.config.model), plugins, parent=parent)
    parent = Parent.read(parent_run, plugins, mode="project")
    recorder = Recorder()
    start_run(
        attrs.evolve(make_config(data=str(other), iters=1), model=parent.stored.config.model),
        plugins,
        parent=parent,
        observer=recorder,
    )
    assert restored(recorder)["projected"].keys() == {"wte", "lmHead"}


def test_an_imported_model_has_no_text_of_its_own(parent_run: RunFolder, plugins: Plugins) -> None:
    from alpha_train.checkpoint import write_checkpoint
    from alpha_train.evaluation import evaluate_run

    for step in parent_run.checkpoint_steps():
        path = parent_run.checkpoint_path(step)
        write_checkpoint(path, attrs.evolve(read_checkpoint(path), extra={}))
    with pytest.raises(DataError, match="was imported, and has no text") as caught:
        resume_run(parent_run, stored_config(parent_run), plugins)
    assert "--init-from" in str(caught.value.hint)
    with pytest.raises(DataError, match="was imported"):
        evaluate_run(load_run(parent_run, plugins, backend="cpu_ref"))


def test_the_command_takes_model_and_tokenizer_from_the_parent(
    parent_run: RunFolder,
    alpha: Callable[..., Any],  # noqa: F811
    tmp_path: Path,
) -> None:
    settings = ["--data=text.txt", "--iters=2", "--eval-iters=1", "--sample-interval=0", "--batch=2"]
    done = alpha("train", "--init-from=last", *settings, "--lr=1e-4", "--quiet", "--json")
    assert done.returncode == 0, done.stderr
    assert f"note: weights of run `{parent_run.run_id}`, step 12 (exact)" in done.stderr
    child = RunFolder(tmp_path / json.loads(done.stdout)["folder"])
    assert child.read_config()["model"] == parent_run.read_config()["model"]
    assert child.read_config()["train"]["tokenizer"] == str(Path("runs", parent_run.run_id, "tokenizer.json"))

    grown = alpha(
        "train", f"--init-from={parent_run.run_id}", "--restore=grow", "--layers=3", *settings, "--print-config"
    )
    assert "n_layer = 3  # flag `--n-layer`" in grown.stdout
    assert "n_embd = 16  # its parent" in grown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--restore=grow"], "name whose with `--init-from`"),
        (["--init-from=last", "--resume=last"], "give one of them"),
        (["--resume=last", "--restore=project"], "makes another model"),
        (["--init-from=last", "--restore=projct"], "did you mean `project`?"),
        (["--init-from=last", "--layers=5"], "`n_layer` is 2 in the parent and would be 5"),
        (["--init-from=last", "--init-checkpoint=7"], "has no checkpoint `7`"),
        (["--init-from=nowhere"], "there is no run `nowhere`"),
    ],
)
def test_the_command_refuses_in_a_line(
    arguments: list[str],
    message: str,
    parent_run: RunFolder,
    alpha: Callable[..., Any],  # noqa: F811
) -> None:
    done = alpha("train", "--data=text.txt", "--quiet", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
