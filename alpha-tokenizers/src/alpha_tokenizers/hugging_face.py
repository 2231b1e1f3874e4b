"""Hugging Face's `tokenizer.json`: byte-level BPE, read and written; char and word tokenizers, written.

The format is what the `tokenizers` library saves (Rust's `Tokenizer` serialized: `added_tokens`, `normalizer`,
`pre_tokenizer`, `post_processor`, `decoder`, `model`). A file may ask for much that Alpha's tokenizers do not do; since
each such thing changes ids, it is refused by name.
"""

from collections.abc import Mapping
from typing import Any

from alpha_core.errors import TokenizerError
from alpha_tokenizers.bpe import BpeTokenizer
from alpha_tokenizers.byte_symbols import bytes_of
from alpha_tokenizers.hugging_face_lookup import LOOKUP_SPLITS, lookup_model
from alpha_tokenizers.quote import quote
from alpha_tokenizers.specials import is_unicode
from alpha_tokenizers.strict_json import parse_json
from alpha_tokenizers.vocabulary import Vocabulary

__all__ = ["hugging_face_json", "read_hugging_face"]

_KEYS = (
    "version",
    "truncation",
    "padding",
    "added_tokens",
    "normalizer",
    "pre_tokenizer",
    "post_processor",
    "decoder",
    "model",
)
_MODEL_KEYS = (
    "type",
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "byte_fallback",
    "ignore_merges",
    "vocab",
    "merges",
)
_TOKEN_KEYS = ("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")

# The splits that `ByteLevel` has not built in, for the Oniguruma engine: it has no possessive `{1,3}+`, and its `$` is
# the end of any line.
_PATTERNS = {
    "cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++\z|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}


def read_hugging_face(data: bytes) -> BpeTokenizer:
    """Returns the tokenizer of a `tokenizer.json` of the `tokenizers` library.

    Raises `TokenizerError` if it is damaged, or asks for what Alpha does not do, naming that.
    """
    parsed = parse_json(data)
    if isinstance(parsed, dict) and "vocabSize" in parsed:
        raise TokenizerError("it is a tokenizer of Alpha, which needs no import")
    file = _object(parsed, "the file", _KEYS)
    if file.get("version") != "1.0":
        raise TokenizerError(f"the format has version {quote(file.get('version'))}, not `1.0`")
    for key in ("truncation", "padding", "normalizer"):
        if file.get(key) is not None:
            raise _unsupported(f"`{key}`", file[key])
    if not _adds_nothing(file.get("post_processor")):
        _check_byte_level("post_processor", file["post_processor"])
    _check_byte_level("decoder", file.get("decoder"))
    model = _object(file.get("model"), "`model`", _MODEL_KEYS)
    whole_words = _check_model(model)
    specials = _specials(file.get("added_tokens"))
    vocab = _object(model.get("vocab"), "`model.vocab`")
    for name, token_id in specials.items():
        if vocab.get(name, token_id) != token_id:
            raise TokenizerError(f"the added token {quote(name)} has two ids, {token_id} and {quote(vocab[name])}")
        if whole_words and _is_a_words_symbols(name):
            raise TokenizerError(f"the added token {quote(name)} is also how `model.vocab` writes another word")
    ordinary = {token: token_id for token, token_id in vocab.items() if token not in specials}
    return BpeTokenizer(
        Vocabulary.from_ids(ordinary, specials),
        _merges(model.get("merges")),
        split=_split(file.get("pre_tokenizer")),
        whole_words=whole_words,
    )


def hugging_face_json(artifacts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of a `tokenizer.json` that gives the ids of a tokenizer with these artifacts.

    Raises `TokenizerError` for a tokenizer that the format cannot hold, and for one of a plugin's type.
    """
    kind = artifacts.get("type")
    if kind not in ("bpe", *LOOKUP_SPLITS):
        raise TokenizerError(f"a tokenizer of type {quote(kind)} has no counterpart in `tokenizer.json`")
    parts = _bpe_model(artifacts) if kind == "bpe" else lookup_model(artifacts)
    specials = sorted(artifacts["specialTokens"].items(), key=lambda item: item[1])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(name, token_id) for name, token_id in specials],
        "normalizer": None,
        "pre_tokenizer": parts["pre_tokenizer"],
        "post_processor": None,
        "decoder": parts["decoder"],
        "model": parts["model"],
    }


def _bpe_model(artifacts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `pre_tokenizer`, `decoder` and `model` for the artifacts of a `bpe` tokenizer."""
    tokenizer = BpeTokenizer.from_artifacts(dict(artifacts))
    whole_words = artifacts.get("wholeWords", False)
    vocab: dict[str, int] = {}
    for token_id, token in enumerate(artifacts["vocab"]):
        if token in vocab:
            raise TokenizerError(
                f"{quote(token)} is both a special token and an ordinary one; `tokenizer.json` cannot hold both"
            )
        if token is not None:
            vocab[token] = token_id
    for name in tokenizer.specials:
        if whole_words and _is_a_words_symbols(name):
            raise TokenizerError(
                f"the special token {quote(name)} is how `tokenizer.json` would write another word of the vocabulary"
            )
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "pre_tokenizer": _pre_tokenizer(artifacts.get("split"), byte_level),
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": whole_words,
            "vocab": vocab,
            "merges": list(artifacts["merges"]),
        },
    }


def _check_model(model: Mapping[str, Any]) -> bool:
    """Refuses a model that is not byte-level BPE; returns whether a word that is a token takes no merges."""
    if model.get("type", "BPE") != "BPE":
        raise _unsupported("`model`", model)
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key) not in (None, "", 0):
            raise TokenizerError(f"`model.{key}` is {quote(model[key])}, which is not supported")
    # `unk_token`, `fuse_unk` and `byte_fallback` are about characters that the vocabulary lacks; it has every byte.
    ignore_merges = model.get("ignore_merges", False)
    if not isinstance(ignore_merges, bool):
        raise TokenizerError(f"`model.ignore_merges` must be `true` or `false`, not {quote(ignore_merges)}")
    return ignore_merges


def _specials(added: object) -> dict[str, int]:
    if not isinstance(added, list):
        raise TokenizerError(f"`added_tokens` must be a list, not {quote(added)}")
    specials: dict[str, int] = {}
    for item in added:
        token = _object(item, "an added token", _TOKEN_KEYS)
        name, token_id = token.get("content"), token.get("id")
        if not isinstance(name, str) or not name or not is_unicode(name) or type(token_id) is not int:
            raise TokenizerError(f"an added token must have `content` and `id`: {quote(item)}")
        for key in ("single_word", "lstrip", "rstrip"):
            if token.get(key, False) is not False:
                raise TokenizerError(f"the added token {quote(name)} has `{key}`, which is not supported")
        if token.get("special") is not True:
            raise TokenizerError(f"the added token {quote(name)} is not special, which is not supported")
        if name in specials:
            raise TokenizerError(f"the added token {quote(name)} is there twice")
        specials[name] = token_id
    return specials


def _merges(value: object) -> list[str]:
    """Returns merges as lines; files of `tokenizers` before 0.20 have lines, later ones pairs."""
    if not isinstance(value, list):
        raise TokenizerError(f"`model.merges` must be a list, not {quote(value)}")
    merges: list[str] = []
    for item in value:
        parts = item.split(" ") if isinstance(item, str) else item
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
            raise TokenizerError(f"`model.merges` has {quote(item)}, which is not a pair of tokens")
        merges.append(" ".join(parts))
    return merges


def _split(pre_tokenizer: object) -> str:
    """Returns the name of the split that a `pre_tokenizer` does."""
    if not isinstance(pre_tokenizer, dict) or pre_tokenizer.get("type") != "Sequence":
        _check_byte_level("pre_tokenizer", pre_tokenizer, use_regex=True)
        return "gpt2"
    steps = pre_tokenizer.get("pretokenizers")
    first, second = steps if isinstance(steps, list) and len(steps) == 2 else (None, None)
    if not isinstance(first, dict) or first.get("type") != "Split":
        raise _unsupported("`pre_tokenizer`", pre_tokenizer)
    _check_byte_level("pre_tokenizer", second, use_regex=False)
    for name in _PATTERNS:
        if first == _split_step(name):
            return name
    pattern = first.get("pattern")
    raise TokenizerError(
        f"`pre_tokenizer` splits by {quote(pattern)}, which is not supported",
        hint="supported are GPT-2's split, and those that `alpha tokenizer export` writes",
    )


def _pre_tokenizer(split: str | None, byte_level: Mapping[str, Any]) -> dict[str, Any]:
    if split is None:
        return dict(byte_level)
    return {"type": "Sequence", "pretokenizers": [_split_step(split), {**byte_level, "use_regex": False}]}


def _split_step(split: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": _PATTERNS[split]}, "behavior": "Isolated", "invert": False}


def _added_token(name: str, token_id: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": token_id, "content": name, **flags}


def _adds_nothing(post_processor: object) -> bool:
    """Tells whether there is no post-processor, or one whose template is the text alone (`transformers` 5 saves it)."""
    if not isinstance(post_processor, dict) or post_processor.get("type") != "TemplateProcessing":
        return post_processor is None
    return post_processor.get("single") == [{"Sequence": {"id": "A", "type_id": 0}}]


def _check_byte_level(key: str, value: object, *, use_regex: bool | None = None) -> None:
    """Refuses a step that is not `ByteLevel`, or that is one that changes ids."""
    if not isinstance(value, dict) or value.get("type") != "ByteLevel":
        raise _unsupported(f"`{key}`", value)
    if use_regex is None:  # only a pre-tokenizer uses the settings below for ids
        return
    if value.get("add_prefix_space", True) is not False:
        raise TokenizerError(f"`{key}` has `add_prefix_space`, which is not supported")
    if value.get("use_regex", True) is not use_regex:
        raise TokenizerError(f"`{key}` has `use_regex` {quote(value.get('use_regex'))}, which is not supported here")


def _is_a_words_symbols(name: str) -> bool:
    """Tells whether `name`, read in GPT-2's characters for bytes, is some other text."""
    try:
        return bytes_of(name) != name.encode()
    except KeyError:
        return False


def _object(value: object, what: str, keys: tuple[str, ...] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TokenizerError(f"{what} must be a JSON object, not {quote(value)}")
    for key in value:
        if keys is not None and key not in keys:
            raise TokenizerError(f"{what} has {quote(key)}, which is not supported")
    return value


def _unsupported(key: str, value: object) -> TokenizerError:
    kind = value.get("type") if isinstance(value, dict) else None
    return TokenizerError(
        f"{key} is {quote(value if kind is None else kind)}, which is not supported",
        hint="supported is byte-level BPE: model `BPE`, pre-tokenizer and decoder `ByteLevel`, no normalizer",
    )
