"""The commands `alpha tokenizer import | export`, and files of other toolkits that are damaged or ask for too much."""

import json
import random
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from tests.tokenizers.foreign import TEXT, TIKTOKEN_PATTERNS, gpt2_files, rank_file, trained, trained_ranks

from alpha_cli.main import main
from alpha_core.errors import AlphaError, TokenizerError
from alpha_tokenizers import BpeTokenizer, hugging_face_json, import_tokenizer
from alpha_tokenizers.hugging_face import read_hugging_face
from tokenizers import Tokenizer

Alpha = Callable[..., tuple[int, str]]


@pytest.fixture
def alpha(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Alpha:
    """Runs one command line in an empty folder; returns exit code and error output, and there is no other output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALPHA_PLUGINS", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        code = main(["tokenizer", *arguments])
        out, err = capsys.readouterr()
        assert out == ""
        return code, err

    return run


def exported() -> bytes:
    return json.dumps(hugging_face_json(trained().to_artifacts()), ensure_ascii=False).encode()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a tokenizer in each format, each in a folder of its own."""
    contents = {
        "hf/tokenizer.json": exported(),
        "gpt2/vocab.json": gpt2_files(trained())[0],
        "gpt2/merges.txt": gpt2_files(trained())[1],
        "openai/encoder.json": gpt2_files(trained())[0],
        "openai/vocab.bpe": gpt2_files(trained())[1],
        "tiktoken/small.tiktoken": rank_file(trained_ranks()),
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def written(name: str = "t.json") -> Any:
    return json.loads(Path(name).read_bytes())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf", "`hf/tokenizer.json` is read as Hugging Face's `tokenizer.json`"),
        ("hf/tokenizer.json", "`hf/tokenizer.json` is read as Hugging Face's `tokenizer.json`"),
        ("gpt2", "`gpt2/vocab.json` is read as GPT-2's two files"),
        ("gpt2/merges.txt", "`gpt2/vocab.json` is read as GPT-2's two files"),
        ("openai", "`openai/encoder.json` is read as GPT-2's two files"),
        ("openai/vocab.bpe", "`openai/encoder.json` is read as GPT-2's two files"),
    ],
)
def test_import_guesses_the_format_and_says_so(alpha: Alpha, files: Path, source: str, said: str) -> None:
    code, err = alpha("import", source, "--out", "t.json")
    assert code == 0
    assert err.splitlines() == [said, "`t.json`: 700 tokens, 3 of them special"]
    assert written() == trained().to_artifacts()


@pytest.mark.parametrize(
    ("source", "format"), [("hf", "hf"), ("hf/tokenizer.json", "hf"), ("gpt2", "gpt2"), ("gpt2/vocab.json", "gpt2")]
)
def test_a_format_that_is_named_needs_no_words(alpha: Alpha, files: Path, source: str, format: str) -> None:
    assert alpha("import", source, f"--from={format}") == (0, "`tokenizer.json`: 700 tokens, 3 of them special\n")
    assert written("tokenizer.json") == trained().to_artifacts()


@pytest.mark.parametrize("source", ["tiktoken", "tiktoken/small.tiktoken", "ranks.txt"])
@pytest.mark.parametrize("pattern", ["cl100k", "cl100k_base"])
def test_import_of_ranks_takes_a_pattern_and_specials(alpha: Alpha, files: Path, source: str, pattern: str) -> None:
    Path("ranks.txt").write_bytes(rank_file(trained_ranks()))
    specials = ["--special", "<|end|>=800", "--special", "a=b", "--special", "<|x|>"]
    code, err = alpha("import", source, "--pattern", pattern, *specials, "--out", "t.json")
    assert (code, err.splitlines()[1]) == (0, "`t.json`: 803 tokens, 3 of them special")
    assert "is read as a rank file of tiktoken" in err
    assert written()["specialTokens"] == {"<|end|>": 800, "a=b": 801, "<|x|>": 802}
    theirs = tiktoken.Encoding(
        "small",
        pat_str=TIKTOKEN_PATTERNS["cl100k"],
        mergeable_ranks=trained_ranks(),
        special_tokens=written()["specialTokens"],
    )
    ours = import_tokenizer(Path(source), split=pattern, specials=dict(written()["specialTokens"]))
    text = f"{TEXT}<|end|>a=b\n "
    assert ours.tokenizer.encode(text) == theirs.encode(text, allowed_special="all")


def test_ranks_without_specials_say_that_there_are_none(alpha: Alpha, files: Path) -> None:
    code, err = alpha("import", "tiktoken", "--from", "tiktoken", "--pattern=r50k", "--out=t.json")
    assert code == 0
    assert err.splitlines()[0] == "the tokenizer has no special tokens, since a rank file names none"
    assert "split" not in written()


def test_ranks_of_a_published_encoding_get_its_specials(alpha: Alpha, files: Path) -> None:
    ranks = trained_ranks()
    fillers = (b"~" + b"%d" % i for i in range(50256))
    ranks |= {filler: rank for rank, filler in zip(range(len(ranks), 50256), fillers, strict=False)}
    Path("r.tiktoken").write_bytes(rank_file(ranks))
    code, err = alpha("import", "r.tiktoken", "--pattern", "gpt2", "--out", "t.json")
    assert code == 0
    assert "it has as many ranks as `r50k_base`, whose special tokens were added" in err
    assert written()["specialTokens"] == {"<|endoftext|>": 50256}


def test_gpt2s_special_tokens_can_be_named(alpha: Alpha, files: Path) -> None:
    vocab = json.loads(Path("gpt2/vocab.json").read_bytes()) | {"<s>": 700}
    Path("gpt2/vocab.json").write_text(json.dumps(vocab))
    code, err = alpha("import", "gpt2", "--out", "t.json")
    assert code == 4
    assert err == (
        "error: `gpt2`: `vocab.json` has `<s>`, which no merge makes\n"
        "hint: if it is a special token, name it: `--special '<s>'`\n"
    )
    assert alpha("import", "gpt2", "--special", "<s>", "--out", "t.json")[0] == 0
    assert written()["specialTokens"]["<s>"] == 700


def test_export_writes_what_hugging_face_reads(alpha: Alpha) -> None:
    Path("run").mkdir()
    Path("run/tokenizer.json").write_text(json.dumps(trained().to_artifacts()))
    code, err = alpha("export", "run", "--to=hf", "--out", "new/tokenizer.json")
    assert (code, err) == (0, "`new/tokenizer.json`: 700 tokens, for `tokenizers.Tokenizer.from_file`\n")
    theirs = Tokenizer.from_file("new/tokenizer.json")
    assert theirs.encode(TEXT, add_special_tokens=False).ids == trained().encode(TEXT)


@pytest.mark.parametrize("command", [["import", "hf"], ["export", "own.json"]])
def test_a_file_is_replaced_only_when_forced(alpha: Alpha, files: Path, command: list[str]) -> None:
    Path("own.json").write_text(json.dumps(trained().to_artifacts()))
    Path("t.json").write_text("mine")
    code, err = alpha(*command, "--out", "t.json")
    assert (code, err) == (2, "error: `t.json` exists\nhint: `--force` replaces it\n")
    assert Path("t.json").read_text() == "mine"
    assert alpha(*command, "--out", "t.json", "--force")[0] == 0
    assert written()


def one_line(err: str) -> bool:
    return len([line for line in err.splitlines() if not line.startswith("hint: ")]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 4, "there is no file or folder `nothing`"),
        (["empty"], 4, "the folder `empty` has no tokenizer that can be imported\nhint: it may hold `tokenizer.json`"),
        (["hf", "--from=tiktoken"], 4, "the folder `hf` has no tokenizer that can be imported"),
        (["hf", "--from=hff"], 2, "there is no format `hff`; there are `hf`, `gpt2`, `tiktoken`\nhint: did you mean"),
        (["half"], 4, "cannot read `half/merges.txt`"),
        (["text.txt"], 4, "`text.txt` is in no format that can be imported\nhint: these can: `hf`, Hugging Face's"),
        (["text.txt", "--from=gpt2"], 4, "`text.txt` is not named like one of GPT-2's two files"),
        (["text.txt", "--from=tiktoken", "--pattern=gpt2"], 4, "`text.txt`: line 1 is `b'some text'`, not a token"),
        (["text.txt", "--from=hf"], 4, "`text.txt`: it is not JSON"),
        (["own.json"], 4, "`own.json`: it is a tokenizer of Alpha, which needs no import"),
        (["tiktoken"], 2, "does not say how text is split into words\nhint: name the pattern, one of `gpt2`, `cl100k`"),
        (["tiktoken", "--pattern=cl10k"], 2, "there is no pattern `cl10k`; there are `gpt2`"),
        (["tiktoken", "--pattern=gpt2", "--special=<|x|>=7"], 4, "and `<|x|>` have one id, 7"),
        (
            ["tiktoken", "--pattern=gpt2", "--special=<|x|>=99999999"],
            4,
            "`<|x|>` has the id `99999999`; ids run from 0",
        ),
        (["tiktoken", "--pattern=gpt2", "--special="], 2, "a special token needs a name"),
        (["tiktoken", "--pattern=gpt2", "--special=x", "--special=x=3"], 2, "the special token `x` is given twice"),
        (["two"], 4, "`two` has 2 rank files\nhint: name one, like `two/a.tiktoken`"),
        (["gpt2", "--pattern=gpt2"], 2, "a pattern is only for rank files of tiktoken"),
        (["gpt2", "--special=<|user|>=3"], 2, "the special token `<|user|>` has the id 697, not 3"),
        (["hf", "--special=x"], 2, "special tokens cannot be added to a `tokenizer.json`"),
        (["x" * 5000], 4, "there is no file or folder `xxx"),
    ],
)
def test_import_refuses_bad_input_in_one_line(
    alpha: Alpha, files: Path, arguments: list[str], code: int, message: str
) -> None:
    for folder in ("empty", "half", "two"):
        Path(folder).mkdir()
    Path("half/vocab.json").write_text("{}")
    Path("two/a.tiktoken").touch()
    Path("two/b.tiktoken").touch()
    Path("text.txt").write_text("some text\n")
    Path("own.json").write_text(json.dumps(trained().to_artifacts()))
    found, err = alpha("import", *arguments, "--out", "t.json")
    assert message in err
    assert (found, one_line(err)) == (code, True)
    assert not Path("t.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["own.json", "--to=tiktoken", "--out=t.json"], 2, "there is no format `tiktoken` to write; there is `hf`"),
        (["hf", "--out=t.json"], 4, "is a tokenizer of Hugging Face's format\nhint: `alpha tokenizer import"),
        (["own.json"], 2, "--out"),
    ],
)
def test_export_refuses_bad_input_in_one_line(
    alpha: Alpha, files: Path, arguments: list[str], code: int, message: str
) -> None:
    Path("own.json").write_text(json.dumps(trained().to_artifacts()))
    found, err = alpha("export", *arguments)
    assert message in err
    assert (found, one_line(err)) == (code, True)


def changed(*path: str | int, value: Any) -> bytes:
    """The exported file with one value replaced."""
    content = json.loads(exported())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed("version", value="2.0"), "the format has version `2.0`, not `1.0`"),
        (changed("normalizer", value={"type": "NFC"}), "`normalizer` is `NFC`, which is not supported"),
        (changed("truncation", value={"max_length": 5}), "`truncation` is `{'max_length': 5}`, which is not supported"),
        (changed("padding", value={"strategy": "x"}), "`padding` is `{'strategy': 'x'}`, which is not supported"),
        (changed("model", "type", value="WordPiece"), "`model` is `WordPiece`, which is not supported"),
        (changed("model", "dropout", value=0.1), "`model.dropout` is `0.1`, which is not supported"),
        (changed("model", "end_of_word_suffix", value="</w>"), "`model.end_of_word_suffix` is `</w>`, which is not"),
        (changed("model", "ignore_merges", value=1), "`model.ignore_merges` must be `true` or `false`, not `1`"),
        (changed("model", "scores", value=[]), "`model` has `scores`, which is not supported"),
        (changed("extra", value=1), "the file has `extra`, which is not supported"),
        (changed("pre_tokenizer", value=None), "`pre_tokenizer` is `None`, which is not supported"),
        (changed("pre_tokenizer", value={"type": "Metaspace"}), "`pre_tokenizer` is `Metaspace`, which is not"),
        (changed("pre_tokenizer", "add_prefix_space", value=True), "has `add_prefix_space`, which is not supported"),
        (changed("pre_tokenizer", "use_regex", value=False), "`pre_tokenizer` has `use_regex` `False`, which is not"),
        (
            changed("pre_tokenizer", value={"type": "Sequence", "pretokenizers": [{"type": "Digits"}]}),
            "`pre_tokenizer` is `Sequence`, which is not supported",
        ),
        (
            changed(
                "pre_tokenizer",
                value={
                    "type": "Sequence",
                    "pretokenizers": [
                        {"type": "Split", "pattern": {"Regex": "\\d"}, "behavior": "Isolated", "invert": False},
                        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
                    ],
                },
            ),
            "`pre_tokenizer` splits by `{'Regex': '\\\\d'}`, which is not supported",
        ),
        (changed("decoder", value={"type": "WordPiece"}), "`decoder` is `WordPiece`, which is not supported"),
        (changed("post_processor", value={"type": "TemplateProcessing"}), "`post_processor` is `TemplateProcessing`"),
        (changed("added_tokens", 0, "lstrip", value=True), "`<|user|>` has `lstrip`, which is not supported"),
        (changed("added_tokens", 0, "special", value=False), "`<|user|>` is not special, which is not supported"),
        (changed("added_tokens", 0, "id", value=5), "the added token `<|user|>` has two ids, 5 and `697`"),
        (changed("added_tokens", value=None), "`added_tokens` must be a list, not `None`"),
        (changed("model", "vocab", "en", value=10**12), "the token `en` has the id `1000000000000`; ids run from 0"),
        (changed("model", "vocab", "en", value=True), "the token `en` has the id `True`; ids run from 0"),
        (changed("model", "vocab", "en", value=3), "have one id, 3"),
        (changed("model", "merges", 0, value=["a", "b", "c"]), "which is not a pair of tokens"),
        (
            changed("model", "merges", 0, value="字 a"),
            "the merge `字 a` uses `字`, which no byte or earlier merge makes",
        ),
        (exported().replace(b'"version"', b'"model": 1, "version"'), "an object in it has the key `model` twice"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "the file must be a JSON object, not `[]`"),
    ],
)
def test_what_a_hugging_face_file_asks_too_much_is_named(data: bytes, message: str) -> None:
    with pytest.raises(TokenizerError) as caught:
        read_hugging_face(data)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


def test_a_special_token_that_hugging_face_would_confuse_is_refused() -> None:
    artifacts = trained().to_artifacts()
    doubled = artifacts | {"vocab": [*artifacts["vocab"], "en"], "vocabSize": 701}
    doubled["specialTokens"] = {**artifacts["specialTokens"], "en": 700}
    with pytest.raises(TokenizerError, match="`en` is both a special token and an ordinary one"):
        hugging_face_json(doubled)
    aliased = artifacts | {"vocab": [*artifacts["vocab"], "Ġqzq"], "vocabSize": 701, "wholeWords": True}
    aliased["specialTokens"] = {**artifacts["specialTokens"], "Ġqzq": 700}
    with pytest.raises(TokenizerError, match=r"`Ġqzq` is how `tokenizer\.json` would write another word"):
        hugging_face_json(aliased)


def damaged(data: bytes) -> Iterator[bytes]:
    """200 truncations and 200 flips of one bit, the same in every run."""
    generator = random.Random(5)
    for _ in range(200):
        yield data[: generator.randrange(len(data))]
    for _ in range(200):
        place = generator.randrange(len(data))
        yield data[:place] + bytes([data[place] ^ 1 << generator.randrange(8)]) + data[place + 1 :]


def load(path: Path, **details: Any) -> BpeTokenizer | AlphaError:
    try:
        return import_tokenizer(path, **details).tokenizer
    except AlphaError as error:
        return error


def is_one_line(error: AlphaError) -> bool:
    return "\n" not in error.message and len(error.message) < 500


@pytest.mark.parametrize("name", ["gpt2/vocab.json", "gpt2/merges.txt"])
def test_damaged_files_of_gpt2_are_refused_in_one_line_or_change_no_merge(files: Path, name: str) -> None:
    whole = (files / name).read_bytes()
    refused = 0
    for data in damaged(whole):
        (files / name).write_bytes(data)
        loaded = load(files / name)
        if isinstance(loaded, AlphaError):
            refused += 1
            assert is_one_line(loaded)
        else:
            assert loaded.to_artifacts()["merges"] == trained().to_artifacts()["merges"]
    assert refused > 350


def test_a_damaged_hugging_face_file_is_refused_in_one_line_or_means_the_same_there(files: Path) -> None:
    path = files / "hf/tokenizer.json"
    refused = 0
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        loaded = load(path)
        if isinstance(loaded, AlphaError):
            refused += 1
            assert is_one_line(loaded)
        else:
            theirs = Tokenizer.from_file(str(path))
            assert loaded.encode(TEXT) == theirs.encode(TEXT, add_special_tokens=False).ids
    assert refused > 350


def test_a_damaged_rank_file_is_refused_in_one_line_or_means_the_same_to_tiktoken(files: Path) -> None:
    path = files / "tiktoken/small.tiktoken"
    refused = 0
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        loaded = load(path, split="gpt2")
        if isinstance(loaded, AlphaError):
            refused += 1
            assert is_one_line(loaded)
        else:
            ranks = {b64decode(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}
            theirs = tiktoken.Encoding(
                "damaged", pat_str=TIKTOKEN_PATTERNS["gpt2"], mergeable_ranks=ranks, special_tokens={}
            )
            assert loaded.encode(TEXT) == theirs.encode(TEXT)
    assert refused > 150
