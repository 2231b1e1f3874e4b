"""`alpha data prepare | stats | show`, and training on what they make; wrong input."""

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from alpha_cli.main import main

TINY = ["--block=16", "--layers=1", "--dim=16", "--heads=2", "--batch=3", "--iters=4", "--eval-iters=2"]
TINY += ["--backend=cpu_ref", "--sample-interval=0", "--eval-interval=2"]


@attrs.frozen
class Done:
    """What a command line left behind."""

    stdout: str
    stderr: str


Alpha = Callable[..., Done]


@pytest.fixture
def alpha(tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Alpha:
    """Runs a command line in the folder of the text; it must end with the given exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> Done:
        found = main(list(arguments))
        done = Done(*capsys.readouterr())
        assert found == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text(
        "".join(json.dumps({"user": f"What is {i}?", "assistant": f"A number, {i}."}) + "\n" for i in range(60))
    )
    return path


def test_prepared_text_is_found_in_the_cache_by_training(alpha: Alpha) -> None:
    prepared = alpha("data", "prepare", "text.txt", "--tokenizer=char", "--json")
    content = json.loads(prepared.stdout)
    assert prepared.stderr.splitlines() == ["reading text", "training the tokenizer", "encoding text"]
    assert Path(content["folder"]).name == content["key"]
    assert content["tokens"]["train"] > 8 * content["tokens"]["validation"] > 0
    trained = alpha("train", "--data=text.txt", "--tokenizer=char", *TINY)
    assert trained.stderr.splitlines() == ["reading text"]


@pytest.mark.parametrize("kind", ["nanogpt", "llmc"])
def test_shards_are_trained_on_evaluated_and_resumed_without_the_text(alpha: Alpha, tmp_path: Path, kind: str) -> None:
    alpha("data", "prepare", "text.txt", "--tokenizer=char", "--out=shards", f"--to={kind}")
    (tmp_path / "text.txt").unlink()
    alpha("train", "--data=shards", *TINY)
    alpha("train", "--resume=last", "--iters=6")
    of_run, of_shards = (json.loads(alpha("eval", *flags, "--json").stdout) for flags in ([], ["--data=shards"]))
    assert of_run == of_shards
    assert of_run["bitsPerByte"] == pytest.approx(of_run["loss"] / np.log(2))  # a character is a byte
    for path in (tmp_path / "shards").glob("*val*.bin"):
        assert json.loads(alpha("eval", f"--data={path}", "--json").stdout) == of_run


def test_shards_without_their_tokenizer_need_one(alpha: Alpha, tmp_path: Path) -> None:
    alpha("data", "prepare", "text.txt", "--tokenizer=char", "--out=shards", "--to=nanogpt")
    (tmp_path / "shards" / "tokenizer.json").rename(tmp_path / "other.json")
    failed = alpha("train", "--data=shards", *TINY, code=4)
    assert failed.stderr.startswith("error: `shards` holds token ids and no text that tokenizer `bpe` could be learned")
    alpha("train", "--data=shards", "--tokenizer=other.json", *TINY)


def test_a_conversation_is_trained_and_measured_on_what_the_assistant_says(alpha: Alpha, chats: Path) -> None:
    stats = json.loads(alpha("data", "stats", "chats.jsonl", "--tokenizer=bpe-chat", "--json").stdout)
    assert stats["total"]["documents"] == 60
    assert stats["validation"]["lossTokens"] < stats["validation"]["tokens"]
    alpha("train", "--data=chats.jsonl", "--tokenizer=bpe-chat", *TINY)
    measured = json.loads(alpha("eval", "--json").stdout)
    assert measured["tokens"] == stats["validation"]["lossTokens"]
    assert measured["loss"] > 0


def test_show_marks_tokens_and_what_counts(alpha: Alpha, chats: Path) -> None:
    shown = alpha("data", "show", "chats.jsonl", "--tokenizer=bpe-chat", "--documents=1").stdout
    heading, line = shown.splitlines()
    assert heading.startswith("--- train 1: ")
    assert line.startswith("<|user|>| What| is| ")
    assert "|<|assistant|>« A| number" in line
    assert line.endswith("|<|end_of_text|>»")
    content = json.loads(alpha("data", "show", "--data=text.txt", "--tokenizer=char", "--tokens=7", "--json").stdout)
    assert content[0]["texts"] == list("line 0:")
    assert content[0]["token_count"] > 1000
    plain = alpha("data", "show", "text.txt", "--tokenizer=char", "--split=validation", "--tokens=60").stdout
    assert "«" not in plain
    assert "⏎\n" in plain


def test_stats_are_a_table(alpha: Alpha) -> None:
    lines = alpha("data", "stats", "text.txt", "--tokenizer=char", "--common=1").stdout.splitlines()
    assert lines[0].split() == ["train", "validation", "total"]
    assert [line.split("  ")[0] for line in lines[1:6]] == [
        "documents",
        "characters",
        "bytes",
        "tokens",
        "bytes per token",
    ]
    assert lines[-1].endswith("` `")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prepare", "text.txt", "--to=nanogpt"], 2, "error: `--to` needs the folder"),
        (["prepare", "text.txt", "--out=shards"], 2, "error: `--out` needs the format of the shards\nhint: add `--to="),
        (["prepare", "text.txt", "--out=x", "--to=nanogtp"], 2, "not `nanogtp`\nhint: did you mean `nanogpt`?"),
        (["prepare", "text.txt", "--out=text.txt", "--to=llmc"], 4, "error: shards cannot be written to `text.txt`"),
        (["stats", "txt.txt"], 4, "hint: did you mean `text.txt`?"),
        (["stats", "text.txt", "--data=text.txt"], 2, "error: the text is named twice"),
        (["stats", "text.txt", "--common=-1"], 2, "error: `--common` is 0 or more, not -1"),
        (["show", "text.txt", "--split=val"], 2, "error: `--split` is `train` or `validation`, not `val`"),
        (["show", "text.txt", "--tokens=0"], 2, "error: `--tokens` is 1 or more, not 0"),
        (["show", "text.txt", "--tokenizer=cahr"], 2, "did you mean `char`?"),
        (["stats", "text.txt", "--validation-fraction=1"], 2, "`validation_fraction` = `1"),
        (["prepare", "bad.jsonl"], 4, "error: `bad.jsonl`, line 2: it is not JSON"),
        (["prepare", "good.jsonl", "--text-key=tex"], 4, "error: `good.jsonl`, line 1: there is no `tex`; there are"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    alpha: Alpha, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    (tmp_path / "good.jsonl").write_text('{"text": "fine"}\n')
    done = alpha("data", *arguments, code=code)
    assert message in done.stderr
    assert done.stdout == ""
