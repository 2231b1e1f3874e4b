"""The commands `alpha tokenizer build | encode | decode | show`: data on standard output, notes on standard error."""

import json as json_format
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.errors import DataError, TokenizerError
from alpha_core.tokenizer import Tokenizer
from alpha_tokenizers.artifact_file import check_free, read_artifact_file, write_artifact_file
from alpha_tokenizers.quote import quote
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


def add_commands(app: CommandApp) -> None:
    """Adds the group `tokenizer` to the command line."""
    commands = TokenizerCommands(app)
    group = app.group("tokenizer", help="Build, use and inspect tokenizers.")
    group.command("build", help=_help("Builds a tokenizer from text.", *_BUILD_EXAMPLES))(commands.build)
    group.command("encode", help=_help("Prints the token ids of a text.", *_ENCODE_EXAMPLES))(commands.encode)
    group.command("decode", help=_help("Prints the text of token ids.", *_DECODE_EXAMPLES))(commands.decode)
    group.command("show", help=_help("Describes a tokenizer.", *_SHOW_EXAMPLES))(commands.show)


def _help(sentence: str, *examples: str) -> str:
    # `\b` keeps the lines of a paragraph apart in help texts of click, which typer is built on.
    return "\n".join([sentence, "", "\b", "Examples:", *(f"  {example}" for example in examples)])


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
        write_artifact_file(out, built.to_artifacts())
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
