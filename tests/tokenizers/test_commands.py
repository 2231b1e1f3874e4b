"""The commands `alpha tokenizer ...`, run as a person runs them."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_cli.main import main
from alpha_core.tokenizer import END_OF_TEXT
from alpha_tokenizers import BpeTokenizer, CharTokenizer

TEXT = "the cat sat on the mat;\r\nthe hat — naïve café 字\n"

Alpha = Callable[..., tuple[int, str, str]]


@pytest.fixture
def alpha(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> Alpha:
    """Runs one command line in an empty folder; returns exit code, output and error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALPHA_PLUGINS", raising=False)

    def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(["tokenizer", *arguments])
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


@pytest.fixture
def built(alpha: Alpha, tmp_path: Path) -> Path:
    """A BPE tokenizer of 260 tokens in the working folder."""
    path = tmp_path / "built.json"
    path.write_text(json.dumps(BpeTokenizer.train([TEXT], vocab_size=260).to_artifacts()), encoding="utf-8")
    return path


def test_build_writes_the_tokenizer_that_the_library_trains(alpha: Alpha, tmp_path: Path) -> None:
    Path("text.txt").write_bytes(TEXT.encode())
    code, out, err = alpha("build", "text.txt", "--tokenizer", "bpe-chat", "--vocab-size=264", "--out", "new/t.json")
    assert (code, out) == (0, "")
    assert "264 tokens" in err
    artifacts = json.loads((tmp_path / "new/t.json").read_bytes())
    specials = ("<|user|>", "<|assistant|>", END_OF_TEXT)
    assert artifacts == BpeTokenizer.train([TEXT], vocab_size=264, specials=specials).to_artifacts()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["t.json"]


def test_build_says_when_the_text_is_too_small_for_the_vocabulary(alpha: Alpha) -> None:
    code, _, err = alpha("build", "-", "--tokenizer", "bpe-4k", stdin=b"abab")
    assert code == 0
    assert "too little in it for 4096 tokens" in err


def test_build_reads_standard_input_files_folders_and_patterns(alpha: Alpha, tmp_path: Path) -> None:
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.md", "sub/.hidden/d.txt", "other/e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(Path(name).stem)
    (tmp_path / "sub/binary").write_bytes(b"\xff\xfe")
    code, _, err = alpha("build", "-", "a.txt", "sub", "ot*", "--tokenizer", "char", stdin=b"z")
    assert code == 0
    assert "files left out of `sub`, not being UTF-8 text: 1" in err
    assert json.loads(Path("tokenizer.json").read_bytes())["vocab"] == ["a", "b", "c", "e", "z", "<|unk|>", END_OF_TEXT]


def test_build_takes_text_as_it_is_but_for_a_byte_order_mark(alpha: Alpha) -> None:
    Path("text.txt").write_bytes(b"\xef\xbb\xbfa\r\n")
    assert alpha("build", "text.txt", "--tokenizer", "char")[0] == 0
    assert json.loads(Path("tokenizer.json").read_bytes())["vocab"][:3] == ["\n", "\r", "a"]


def test_build_replaces_a_file_only_when_forced(alpha: Alpha) -> None:
    assert alpha("build", "-", "--tokenizer", "char", stdin=b"abc")[0] == 0
    before = Path("tokenizer.json").read_bytes()
    code, _, err = alpha("build", "-", "--tokenizer", "char", stdin=b"xyz")
    assert (code, err) == (2, "error: `tokenizer.json` exists\nhint: `--force` replaces it\n")
    assert Path("tokenizer.json").read_bytes() == before
    assert alpha("build", "-", "--tokenizer", "char", "--force", stdin=b"xyz")[0] == 0
    assert Path("tokenizer.json").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["text.tx"], b"", "there is no file or folder `text.tx`\nhint: did you mean `text.txt`?"),
        (["sub/text.tx"], b"", "there is no file or folder `sub/text.tx`\nhint: did you mean `sub/text.txt`?"),
        (["x" * 5000], b"", "there is no file or folder `xxx"),
        (["text.txt", "--out", "x" * 5000], b"", "cannot write `xxx"),
        (["no*.md"], b"", "no file matches `no*.md`"),
        (["-"], b"", "there is no text in `-`"),
        (["-"], b"\xff", "`standard input` is not UTF-8 text: invalid start byte at byte 0"),
        (["binary"], b"", "`binary` is not UTF-8 text: invalid start byte at byte 1"),
        (["text.txt", "--tokenizer", "bpe-4"], b"", "hint: did you mean `bpe-4k`?"),
        (["text.txt", "--vocab-size", "7"], b"", "no room for 256 bytes and 1 special tokens\nhint: use at least 257"),
        (["text.txt", "--out", "folder"], b"", "`folder` is a folder\nhint: write to `folder/tokenizer.json`"),
        (["text.txt", "--out", "text.txt/t.json"], b"", "cannot write `text.txt/t.json`"),
    ],
)
def test_build_refuses_bad_input_in_one_line(alpha: Alpha, arguments: list[str], stdin: bytes, message: str) -> None:
    Path("text.txt").write_text(TEXT)
    Path("binary").write_bytes(b"a\xff")
    Path("folder").mkdir()
    Path("sub").mkdir()
    Path("sub/text.txt").touch()
    code, out, err = alpha("build", *arguments, stdin=stdin)
    assert code != 0
    assert out == ""
    assert message in err
    assert len([line for line in err.splitlines() if not line.startswith("hint: ")]) == 1
    assert not Path("tokenizer.json").exists()


def test_encode_prints_ids_and_decode_prints_the_text_back(alpha: Alpha, built: Path) -> None:
    code, out, err = alpha("encode", "built.json", "the cat")
    assert (code, err) == (0, "")
    ids = BpeTokenizer.from_artifacts(json.loads(built.read_bytes())).encode("the cat")
    assert out == " ".join(map(str, ids)) + "\n"
    assert alpha("decode", "built.json", *out.split()) == (0, "the cat", "")
    assert alpha("encode", "built.json", "the cat", "--json") == (0, f"{json.dumps(ids)}\n", "")


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_standard_input_round_trips_byte_for_byte(alpha: Alpha, built: Path, flags: list[str]) -> None:
    ids = alpha("encode", str(built), *flags, stdin=TEXT.encode())[1]
    assert alpha("decode", str(built), stdin=ids.encode()) == (0, TEXT, "")
    assert alpha("decode", str(built), "-", stdin=ids.encode()) == (0, TEXT, "")


def test_the_commands_work_as_processes_in_a_pipe(built: Path) -> None:
    command = [sys.executable, "-m", "alpha_cli", "tokenizer"]
    encoded = subprocess.run([*command, "encode", str(built)], input=TEXT.encode(), capture_output=True, check=True)
    decoded = subprocess.run([*command, "decode", str(built)], input=encoded.stdout, capture_output=True, check=True)
    assert decoded.stdout == TEXT.encode()
    assert encoded.stderr == decoded.stderr == b""


def test_a_run_folder_stands_for_its_tokenizer(alpha: Alpha, built: Path) -> None:
    Path("run").mkdir()
    built.rename("run/tokenizer.json")
    assert alpha("decode", "run", "[104, 105]") == (0, "hi", "")


@pytest.mark.parametrize("ids", [["x"], ["1", "2.5"], ["[1, null]"], ["260"], ["9" * 5000], ["--", "-1"]])
def test_decode_refuses_what_is_no_id_in_one_line(alpha: Alpha, built: Path, ids: list[str]) -> None:
    code, out, err = alpha("decode", str(built), *ids)
    assert (code, out) == (4, "")
    assert "token id" in err
    assert err.count("\n") == 1
    assert len(err) < 300


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file `t.json`\nhint: `alpha tokenizer build` makes one"),
        (b"", "`t.json` is not JSON"),
        (b"\xff\xff", "`t.json` is not JSON"),
        (b"[" * 100_000, "`t.json` is not JSON"),
        (b"[1]", "`t.json` is not a tokenizer: it holds `[1]`"),
        (b"{}", "the tokenizer artifacts have no `type`"),
        (b'{"type": "bpr"}', "`bpr`\nhint: did you mean `bpe`?"),
        (b'{"type": "bpe"}', "the tokenizer artifact lacks the key `vocabSize`"),
    ],
)
def test_a_broken_tokenizer_file_is_refused_in_one_line(alpha: Alpha, content: bytes | None, message: str) -> None:
    if content is not None:
        Path("t.json").write_bytes(content)
    code, out, err = alpha("encode", "t.json", "text")
    assert (code, out) == (4, "")
    assert message in err
    assert len([line for line in err.splitlines() if not line.startswith("hint: ")]) == 1


def test_a_name_that_no_file_can_have_is_refused_in_one_line(alpha: Alpha) -> None:
    code, _, err = alpha("show", "x" * 5000)
    assert code == 4
    assert err.startswith("error: cannot read `xxx")
    assert err.count("\n") == 1


def test_a_folder_without_a_tokenizer_is_named(alpha: Alpha) -> None:
    Path("run").mkdir()
    assert "error: the folder `run` has no `tokenizer.json`\n" in alpha("show", "run")[2]


def test_show_tells_type_sizes_specials_longest_tokens_and_a_sample(alpha: Alpha, built: Path) -> None:
    code, out, err = alpha("show", str(built), "--text", "the cat")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == ["type             bpe", "vocabulary size  260", f"specials         {END_OF_TEXT}=259"]
    assert lines[3].startswith("longest tokens   'the' 'at' 'he' ")
    assert lines[4:] == ["sample           'the cat'", "  in 4 tokens  'the' ' ' 'c' 'at'"]


def test_show_prints_json(alpha: Alpha) -> None:
    Path("c.json").write_text(json.dumps(CharTokenizer.train(["ab"]).to_artifacts()))
    summary = json.loads(alpha("show", "c.json", "--json", "--text", "ba")[1])
    assert (summary["type"], summary["vocabSize"], summary["specialTokens"]) == ("char", 4, {END_OF_TEXT: 3})
    assert {"id": 0, "text": "a"} in summary["longestTokens"]
    assert summary["sample"] == {"text": "ba", "ids": [1, 0], "tokens": ["b", "a"]}


@pytest.mark.parametrize("command", ["build", "encode", "decode", "show", "import", "export"])
def test_help_has_an_example(alpha: Alpha, command: str) -> None:
    code, out, _ = alpha(command, "--help")
    assert code == 0
    assert f"\nExamples:\n  alpha tokenizer {command} " in out
