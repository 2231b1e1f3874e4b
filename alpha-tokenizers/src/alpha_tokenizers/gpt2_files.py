"""GPT-2's two files: `vocab.json` (token to id) and `merges.txt` (a merge a line, in order)."""

from collections.abc import Mapping

from alpha_core.errors import TokenizerError
from alpha_tokenizers.bpe import BpeTokenizer
from alpha_tokenizers.byte_symbols import BYTE_SYMBOLS
from alpha_tokenizers.quote import quote
from alpha_tokenizers.special_ids import with_ids
from alpha_tokenizers.strict_json import parse_json
from alpha_tokenizers.vocabulary import UNUSED, Vocabulary

__all__ = ["read_gpt2"]


def read_gpt2(vocab: bytes, merges: bytes, specials: Mapping[str, int | None]) -> BpeTokenizer:
    """Returns the tokenizer of a `vocab.json` and a `merges.txt`.

    Tokens like `<|endoftext|>` are special, and so are `specials`, which may also be new ones; an id of None is the
    token's own, or the next free one. The files do not say which tokens are special, so that any other token that no
    merge makes is refused: a `merges.txt` that lost lines must not change what tokens mean.
    """
    ids = parse_json(vocab)
    if not isinstance(ids, dict):
        raise TokenizerError(f"`vocab.json` must be a JSON object, not {quote(ids)}")
    lines = _merges(merges)
    products = {line.replace(" ", "", 1) for line in lines}
    named = {token: None for token in ids if _looks_special(token) and token not in products}
    all_specials = with_ids({**named, **specials}, ids)
    ordinary = {token: token_id for token, token_id in ids.items() if token not in all_specials}
    for token in ordinary:
        if token not in products and token not in BYTE_SYMBOLS:
            raise TokenizerError(
                f"`vocab.json` has {quote(token)}, which no merge makes",
                hint=f"if it is a special token, name it: `--special '{token}'`",
            )
    vocabulary = Vocabulary.from_ids(ordinary, all_specials)
    if UNUSED in vocabulary.tokens[: len(ids)]:
        raise TokenizerError(f"no token of `vocab.json` has the id {vocabulary.tokens.index(UNUSED)}")
    return BpeTokenizer(vocabulary, lines)


def _merges(data: bytes) -> list[str]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise TokenizerError(f"`merges.txt` is not UTF-8 text: {error.reason} at byte {error.start}") from error
    lines = text.removesuffix("\n").split("\n")
    if lines[0].startswith("#version"):
        del lines[0]
    for line in lines:
        if len(line.split(" ")) != 2:
            raise TokenizerError(f"`merges.txt` has the line {quote(line)}, which is not two tokens")
    return lines


def _looks_special(token: str) -> bool:
    return token.startswith("<|") and token.endswith("|>")
