"""The commands `alpha tokenizer ...`: data on standard output, notes on standard error."""

import json as json_format
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.errors import DataError, TokenizerError, UsageError
from alpha_core.suggest import did_you_mean
from alpha_core.tokenizer import Tokenizer
from alpha_tokenizers.artifact_file import check_free, read_artifact_file, write_json_file
from alpha_tokenizers.quote import quote
from alpha_tokenizers.special_ids import parse_specials
from alpha_tokenizers.summary import SAMPLE_TEXT, lines_of, summarize
from alpha_tokenizers.texts import STANDARD_INPUT, read_standard_input, read_texts

__all__ = ["TokenizerCommands", "add_commands"]

Source = Annotated[Path, "A `tokenizer.json`, or a run folder that holds one."]

_BUILD_EXAMPLES = (
    "alpha tokenizer build corpus.txt --tokenizer bpe-4k",
    "alpha tokenizer build src 'notes/**/*.md' --tokenizer bpe --vocab-size 3000 --out notes.json",
    "cat *.txt | alpha tokenizer build - --tokenizer char",
)
_ENCODE_EXAMPLES = (
    "alpha tokenizer encode tokenizer.json 'to be or not to be'",
    "alpha tokenizer encode tokenizer.json --json < corpus.txt > ids.json",
)
_DECODE_EXAMPLES = (
    "alpha tokenizer decode tokenizer.json 398 304 44",
    "alpha tokenizer decode tokenizer.json < ids.json",
)
_SHOW_EXAMPLES = (
    "alpha tokenizer show runs/20250101120000_ab12 --text 'how is this split?'",
    "alpha tokenizer show tokenizer.json --json",
)
_IMPORT_EXAMPLES = (
    "alpha tokenizer import gpt2/ --out gpt2.json",
    "alpha tokenizer import cl100k_base.tiktoken --pattern cl100k --out cl100k.json",
    "alpha tokenizer import ranks.txt --from tiktoken --pattern gpt2 --special '<|endoftext|>=50256'",
)
_EXPORT_EXAMPLES = ("alpha tokenizer export runs/20250101120000_ab12 --to hf --out hf/tokenizer.json",)


def add_commands(app: CommandApp) -> None:
    """Adds the group `tokenizer` to the command line."""
    commands = TokenizerCommands(app)
    group = app.group("tokenizer", help="Build, use, inspect and convert tokenizers.")
    group.command("build", help="Builds a tokenizer from text.", examples=_BUILD_EXAMPLES)(commands.build)
    group.command("encode", help="Prints the token ids of a text.", examples=_ENCODE_EXAMPLES)(commands.encode)
    group.command("decode", help="Prints the text of token ids.", examples=_DECODE_EXAMPLES)(commands.decode)
    group.command("show", help="Describes a tokenizer.", examples=_SHOW_EXAMPLES)(commands.show)
    group.command("import", help="Converts a tokenizer of another toolkit.", examples=_IMPORT_EXAMPLES)(
        commands.import_
    )
    group.command("export", help="Writes a tokenizer for another toolkit.", examples=_EXPORT_EXAMPLES)(commands.export)


class TokenizerCommands:
    """The commands, on the tokenizers that the plugins of a command line bring."""

    def __init__(self, app: CommandApp) -> None:
        self._app = app

    def build(
        self,
        text: Annotated[list[str], "Files, folders, glob patterns, or `-` for standard input."],
        /,
        *,
        tokenizer: Annotated[str, "Which tokenizer: `char`, `word`, `bpe`, `bpe-4k`, ..."] = "bpe",
        vocab_size: Annotated[int | None, "Number of tokens, specials included, instead of the name's own."] = None,
        out: Annotated[Path, "The file to write."] = Path("tokenizer.json"),
        force: Annotated[bool, "Replace the file if it exists."] = False,
    ) -> None:
        info = self._app.plugins.tokenizers.get(tokenizer)
        check_free(out, force=force)
        start = time.perf_counter()
        size = info.vocab_size if vocab_size is None else vocab_size
        meter = _Meter()
        built = info.load().train(meter.measure(read_texts(text, _note)), vocab_size=size, specials=info.specials)
        if not meter.characters:
            raise DataError(f"there is no text in {', '.join(f'`{source}`' for source in text)}")
        write_json_file(out, built.to_artifacts())
        _note(
            f"`{out}`: {tokenizer}, {built.vocab_size} tokens, {time.perf_counter() - start:.1f} s "
            f"for {meter.characters} characters of text"
        )
        if size is not None and built.vocab_size < size:
            _note(f"the text has too little in it for {size} tokens")

    def encode(
        self,
        tokenizer: Source,
        text: Annotated[str, "The text, or `-` for standard input."] = STANDARD_INPUT,
        /,
        *,
        json: Annotated[bool, "Print a JSON list."] = False,
    ) -> None:
        ids = self._load(tokenizer).encode(read_standard_input() if text == STANDARD_INPUT else text)
        print(json_format.dumps(ids) if json else " ".join(map(str, ids)))

    def decode(
        self,
        tokenizer: Source,
        ids: Annotated[list[str] | None, "Token ids, or `-` for standard input (numbers or a JSON list)."] = None,
        /,
    ) -> None:
        loaded = self._load(tokenizer)
        given = " ".join(ids or [STANDARD_INPUT])
        decoded = loaded.decode(_parse_ids(read_standard_input() if given == STANDARD_INPUT else given))
        sys.stdout.flush()
        sys.stdout.buffer.write(decoded.encode("utf-8", "surrogatepass"))
        if sys.stdout.isatty() and not decoded.endswith("\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def show(
        self,
        tokenizer: Source,
        /,
        *,
        text: Annotated[str, "A text to split, instead of two lines of Python."] = "",
        json: Annotated[bool, "Print JSON."] = False,
    ) -> None:
        summary = summarize(self._load(tokenizer), text or SAMPLE_TEXT)
        print(json_format.dumps(summary, indent=2) if json else "\n".join(lines_of(summary)))

    def import_(
        self,
        source: Annotated[Path, "A file of the tokenizer, or the folder that holds it."],
        /,
        *,
        from_: Annotated[
            str | None, "`hf` (tokenizer.json), `gpt2` (vocab.json and merges.txt) or `tiktoken`; else guessed."
        ] = None,
        pattern: Annotated[
            str | None, "How tiktoken splits text into words: `gpt2`, `r50k`, `p50k`, `cl100k` or `o200k`."
        ] = None,
        special: Annotated[
            list[str] | None, "`NAME` or `NAME=ID`: a special token that the file does not name; may be repeated."
        ] = None,
        out: Annotated[Path, "The file to write."] = Path("tokenizer.json"),
        force: Annotated[bool, "Replace the file if it exists."] = False,
    ) -> None:
        from alpha_tokenizers.importing import import_tokenizer  # `alpha --help` needs none of it

        check_free(out, force=force)
        imported = import_tokenizer(source, format=from_, split=pattern, specials=parse_specials(special or ()))
        write_json_file(out, imported.tokenizer.to_artifacts())
        for note in imported.notes:
            _note(note)
        _note(f"`{out}`: {imported.tokenizer.vocab_size} tokens, {len(imported.tokenizer.specials)} of them special")

    def export(
        self,
        tokenizer: Source,
        /,
        *,
        to: Annotated[str, "The format: `hf`, the `tokenizer.json` of Hugging Face."] = "hf",
        out: Annotated[Path, "The file to write."],
        force: Annotated[bool, "Replace the file if it exists."] = False,
    ) -> None:
        from alpha_tokenizers.hugging_face import hugging_face_json  # `alpha --help` needs none of it

        if to != "hf":
            raise UsageError(f"there is no format {quote(to)} to write; there is `hf`", hint=did_you_mean(to, ["hf"]))
        check_free(out, force=force)
        loaded = self._load(tokenizer)
        write_json_file(out, hugging_face_json(loaded.to_artifacts()))
        _note(f"`{out}`: {loaded.vocab_size} tokens, for `tokenizers.Tokenizer.from_file`")

    def _load(self, path: Path) -> Tokenizer:
        return self._app.plugins.load_tokenizer(read_artifact_file(path))


class _Meter:
    """Counts the characters of texts on their way into training."""

    def __init__(self) -> None:
        self.characters = 0

    def measure(self, texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            self.characters += len(text)
            yield text


def _parse_ids(text: str) -> list[int]:
    """Reads ids separated by spaces, line ends or commas, in brackets or not: what `encode` prints, JSON included."""
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        stripped = stripped[1:-1]
    ids: list[int] = []
    for word in stripped.replace(",", " ").split():
        try:
            ids.append(int(word))
        except ValueError:
            raise TokenizerError(f"{quote(word)} is not a token id") from None
    return ids


def _note(message: str) -> None:
    print(message, file=sys.stderr)
