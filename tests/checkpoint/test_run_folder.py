"""Run folders: found by the names that people use, and never left without a checkpoint worth having."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from alpha_core.errors import CheckpointError, ConfigError, TokenizerError, UnknownNameError, UsageError
from alpha_train.checkpoint import Checkpoint
from alpha_train.run_folder import BestCheckpoint, RunFolder, find_run, list_runs

IDS = ["20260102030405_aaaa", "20260102030405_abcd", "tag_20260102030406_bbbb", "20250101000000_cccc"]


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        step=step,
        optimizer_step=step,
        model_config={},
        config_hash="",
        seed=1,
        tokenizer_artifacts=None,
        parameters={"w": np.full(3, step, np.float32)},
    )


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    for run_id in IDS:
        RunFolder.create(runs, run_id, {"train": {"lr": 0.1}})
    return runs


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "20260102030405_aaaa", {"train": {"lr": 0.1}})


def test_a_run_folder_keeps_config_and_tokenizer(run: RunFolder) -> None:
    run.write_tokenizer({"type": "char", "vocab": ["ä"]})
    again = RunFolder(run.path)
    assert again.read_config() == {"train": {"lr": 0.1}}
    assert again.read_tokenizer() == {"type": "char", "vocab": ["ä"]}
    assert again.run_id == "20260102030405_aaaa"
    assert sorted(os.listdir(run.path)) == ["config.json", "tokenizer.json"]


def test_a_run_folder_is_not_made_twice(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="File exists"):
        RunFolder.create(run.path.parent, run.run_id, {})


def test_missing_and_damaged_files_raise_the_error_of_their_subject(run: RunFolder) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer.json` cannot be read: No such file"):
        run.read_tokenizer()
    for content in ("{", "[]", "\0"):
        (run.path / "config.json").write_text(content)
        with pytest.raises(ConfigError, match=r"config.json` is damaged"):
            run.read_config()
    with pytest.raises(TokenizerError, match="cannot be written"):
        run.write_tokenizer({"vocab": float("nan")})


def test_a_run_is_found_by_id_beginning_path_and_last(runs: Path) -> None:
    assert find_run(runs, "20260102030405_abcd").run_id == "20260102030405_abcd"
    assert find_run(runs, "2025").run_id == "20250101000000_cccc"
    assert find_run(runs, "tag").run_id == "tag_20260102030406_bbbb"
    assert find_run(runs, "last").run_id == "tag_20260102030406_bbbb"
    assert find_run(runs, str(runs / "20250101000000_cccc")).run_id == "20250101000000_cccc"
    assert find_run(runs / "elsewhere", f"{runs}/20250101000000_cccc/").run_id == "20250101000000_cccc"


def test_runs_are_listed_as_they_were_started_whatever_their_tags(runs: Path) -> None:
    (runs / "no-run").mkdir()
    (runs / "20250101000000_cccc").rename(runs / "renamed")
    os.utime(runs / "renamed" / "config.json", (0, 0))
    listed = [run.run_id for run in list_runs(runs)]
    assert listed == ["renamed", "20260102030405_aaaa", "20260102030405_abcd", "tag_20260102030406_bbbb"]
    assert list_runs(runs / "nowhere") == []


def test_an_ambiguous_beginning_lists_what_it_could_mean(runs: Path) -> None:
    with pytest.raises(UsageError, match="`20260102030405_aaaa`, `20260102030405_abcd`"):
        find_run(runs, "20260102030405_a")


def test_an_unknown_run_brings_a_suggestion(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_run(runs, "20260102030405_abdc")
    assert caught.value.hint == "did you mean `20260102030405_abcd`?"
    with pytest.raises(UnknownNameError) as caught:
        find_run(runs, "")
    assert caught.value.hint == "the latest is `tag_20260102030406_bbbb`"
    with pytest.raises(UnknownNameError):
        find_run(runs, "x" * 5000)
    with pytest.raises(UnknownNameError, match="holds no runs"):
        find_run(tmp_path / "nowhere", "last")


def test_old_checkpoints_go_but_never_the_best_or_the_newest(run: RunFolder) -> None:
    losses = {10: 3.0, 20: 2.0, 30: 2.5, 40: 2.2, 50: 2.1}
    for step, loss in losses.items():
        run.save_checkpoint(checkpoint(step), keep=2, val_loss=loss)
    assert run.checkpoint_steps() == [20, 40, 50]
    run.prune(keep=0)
    assert run.checkpoint_steps() == [20, 50]
    assert run.best_checkpoint().step == 20
    assert run.latest_checkpoint().step == 50


def test_only_a_lower_loss_is_the_best(run: RunFolder) -> None:
    assert run.read_best() is None
    assert [run.record_best(step, loss) for step, loss in enumerate([2.0, float("nan"), 2.0, 1.5])] == [
        True,
        False,
        False,
        True,
    ]
    assert run.read_best() == BestCheckpoint(3, 1.5)
    assert json.loads((run.path / "best.json").read_text()) == {"step": 3, "valLoss": 1.5}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": "x", "valLoss": 1}'])
def test_a_damaged_note_of_the_best_is_like_none(run: RunFolder, content: str) -> None:
    (run.path / "best.json").write_text(content)
    run.save_checkpoint(checkpoint(1), keep=1)
    assert run.read_best() is None
    assert run.best_checkpoint().step == 1


def test_what_a_crash_left_unfinished_is_removed(run: RunFolder) -> None:
    unfinished = run.path / ".checkpoint-5.alph.0a1b2c3d.tmp"
    unfinished.write_bytes(b"ALPH")
    run.save_checkpoint(checkpoint(10), keep=1)
    assert not unfinished.exists()


def test_a_damaged_newest_checkpoint_is_skipped_and_named(run: RunFolder) -> None:
    for step in (9, 10, 100):
        run.save_checkpoint(checkpoint(step), keep=3)
    damaged = run.checkpoint_path(100)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    latest = run.latest_checkpoint()
    assert latest.step == 10
    assert latest.parameters["w"].tolist() == [10, 10, 10]
    (note,) = latest.notes
    assert f"`{damaged}`" in note
    assert run.latest_checkpoint(tensors=False).step == 10


def test_a_run_without_a_checkpoint_that_can_be_used_says_so(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        run.latest_checkpoint()
    run.checkpoint_path(5).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no checkpoint that can be used: `.*checkpoint-5.alph`"):
        run.latest_checkpoint()


def test_metrics_keep_the_last_line_of_a_step_and_count_damaged_ones(run: RunFolder) -> None:
    assert run.read_metrics().rows == ()
    (run.path / "metrics.jsonl").write_bytes(
        b'{"step": 1, "loss": 3}\n{"step": 2, "loss": 2}\n{"step": 3, "lo\n\xff\n[1]\n{"loss": 1}\n'
        b'{"step": 2, "loss": 1.5}\n{"step": 1'
    )
    log = run.read_metrics()
    assert log.rows == ({"step": 1, "loss": 3}, {"step": 2, "loss": 1.5})
    assert log.skipped == 5
