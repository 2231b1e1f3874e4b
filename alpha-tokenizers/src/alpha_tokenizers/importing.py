"""Tokenizers of other toolkits, whichever format they are in."""

import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from alpha_core.errors import TokenizerError, UsageError
from alpha_core.suggest import did_you_mean
from alpha_tokenizers.bpe import BpeTokenizer
from alpha_tokenizers.gpt2_files import read_gpt2
from alpha_tokenizers.hugging_face import read_hugging_face
from alpha_tokenizers.quote import quote
from alpha_tokenizers.split import BPE_SPLITS, SPLIT_ALIASES
from alpha_tokenizers.tiktoken_ranks import published_specials, read_ranks, tokenizer_of_ranks

__all__ = ["FORMATS", "Imported", "import_tokenizer"]

FORMATS = {"hf": "Hugging Face's `tokenizer.json`", "gpt2": "GPT-2's two files", "tiktoken": "a rank file of tiktoken"}
"""The formats that can be read, by their names, with what each is."""

_HUGGING_FACE = "tokenizer.json"
_GPT2_PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
_RANKS_SUFFIX = ".tiktoken"


@attrs.frozen
class Imported:
    """A tokenizer of another toolkit, and what a person should know about how it was read."""

    tokenizer: BpeTokenizer
    notes: tuple[str, ...] = ()


@attrs.frozen
class _Found:
    """The files of a tokenizer: one, but for GPT-2's vocabulary and merges."""

    format: str
    files: tuple[Path, ...]


def import_tokenizer(
    path: Path,
    *,
    format: str | None = None,
    split: str | None = None,
    specials: Mapping[str, int | None] | None = None,
) -> Imported:
    """Reads a tokenizer of another toolkit from a file, or from a folder that holds one.

    `format` is a name of `FORMATS`; None looks at names and content, and a note says what was taken for what. `split`
    names how text is cut into words (`gpt2`, `cl100k`, `o200k`, or an encoding of tiktoken): rank files need it, since
    they do not say. `specials` are tokens that the file does not have or does not mark as special, each with its id or
    None; a published rank file without any gets those of its encoding.

    Raises `TokenizerError` for files that are missing, damaged or ask for what Alpha does not do, and `UsageError` for
    arguments that do not fit them.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(
            f"there is no format {quote(format)}; there are {', '.join(f'`{name}`' for name in FORMATS)}",
            hint=did_you_mean(format, FORMATS),
        )
    found = _find(path, format)
    notes = [] if format is not None else [f"`{found.files[0]}` is read as {FORMATS[found.format]}"]
    if split is not None and found.format != "tiktoken":
        raise UsageError("a pattern is only for rank files of tiktoken; this file says itself how it splits text")
    if specials and found.format == "hf":
        raise UsageError("special tokens cannot be added to a `tokenizer.json`; it has its own")
    data = [_read(file) for file in found.files]
    try:
        if found.format == "hf":
            tokenizer = read_hugging_face(data[0])
        elif found.format == "gpt2":
            tokenizer = read_gpt2(data[0], data[1], specials or {})
        else:
            tokenizer = _from_ranks(data[0], split, specials, notes)
    except TokenizerError as error:
        where = found.files[0].parent if found.format == "gpt2" else found.files[0]
        raise TokenizerError(f"`{where}`: {error.message}", hint=error.hint) from error
    return Imported(tokenizer, tuple(notes))


def _from_ranks(
    data: bytes, split: str | None, specials: Mapping[str, int | None] | None, notes: list[str]
) -> BpeTokenizer:
    names = (*BPE_SPLITS, *SPLIT_ALIASES)
    known = ", ".join(f"`{name}`" for name in names)
    if split is None:
        raise UsageError(
            "a rank file does not say how text is split into words", hint=f"name the pattern, one of {known}"
        )
    name = split.removesuffix("_base")
    name = SPLIT_ALIASES.get(name, name)
    if name not in BPE_SPLITS:
        raise UsageError(f"there is no pattern {quote(split)}; there are {known}", hint=did_you_mean(split, names))
    ranks = read_ranks(data)
    if not specials:
        published = published_specials(name, ranks)
        if published is not None:
            encoding, specials = published
            notes.append(f"it has as many ranks as `{encoding}`, whose special tokens were added")
        else:
            notes.append("the tokenizer has no special tokens, since a rank file names none")
    return tokenizer_of_ranks(ranks, name, specials or {})


def _find(path: Path, format: str | None) -> _Found:
    """Returns the files that `path` stands for. Raises `TokenizerError` if there are none, or if they could be any."""
    if os.path.isdir(path):
        return _find_in_folder(path, format)
    if not os.path.exists(path):
        raise TokenizerError(f"there is no file or folder `{path}`")
    format = format or _guess(path)
    return _Found(format, _gpt2_pair(path) if format == "gpt2" else (path,))


def _find_in_folder(folder: Path, format: str | None) -> _Found:
    if format in ("hf", None) and os.path.exists(folder / _HUGGING_FACE):
        return _Found("hf", (folder / _HUGGING_FACE,))
    if format in ("gpt2", None):
        for names in _GPT2_PAIRS:
            if os.path.exists(folder / names[0]):
                return _Found("gpt2", tuple(folder / name for name in names))
    if format in ("tiktoken", None):
        ranks = sorted(folder.glob(f"*{_RANKS_SUFFIX}"))
        if len(ranks) > 1:
            raise TokenizerError(f"`{folder}` has {len(ranks)} rank files", hint=f"name one, like `{ranks[0]}`")
        if ranks:
            return _Found("tiktoken", (ranks[0],))
    raise TokenizerError(
        f"the folder `{folder}` has no tokenizer that can be imported",
        hint=f"it may hold `{_HUGGING_FACE}`, `vocab.json` and `merges.txt`, or a file `*{_RANKS_SUFFIX}`",
    )


def _gpt2_pair(path: Path) -> tuple[Path, ...]:
    """Returns vocabulary and merges, of which `path` is one."""
    for names in _GPT2_PAIRS:
        if path.name in names:
            return tuple(path.with_name(name) for name in names)
    raise TokenizerError(
        f"`{path}` is not named like one of GPT-2's two files",
        hint="they are `vocab.json` and `merges.txt`, or `encoder.json` and `vocab.bpe`",
    )


def _guess(path: Path) -> str:
    if path.name == _HUGGING_FACE:
        return "hf"
    if any(path.name in names for names in _GPT2_PAIRS):
        return "gpt2"
    if path.suffix == _RANKS_SUFFIX:
        return "tiktoken"
    data = _read(path)
    if data.lstrip().startswith(b"{"):
        return "hf"
    try:
        read_ranks(data[: data.find(b"\n") + 1])
    except TokenizerError:
        raise TokenizerError(
            f"`{path}` is in no format that can be imported",
            hint=f"these can: {'; '.join(f'`{name}`, {what}' for name, what in FORMATS.items())}",
        ) from None
    return "tiktoken"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"cannot read `{path}`: {error.strerror}") from error
