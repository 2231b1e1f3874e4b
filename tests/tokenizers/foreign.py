"""Tokenizers and texts for the tests against `tiktoken` and Hugging Face's `tokenizers`."""

import json
import random
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import tiktoken

from alpha_core.tokenizer import CHAT_SPECIALS
from alpha_tokenizers import BpeTokenizer
from alpha_tokenizers.byte_symbols import bytes_of

SPECIALS = {"<|endoftext|>": 3000, "<|end|>": 3007}
TEXT = Path(tiktoken.__file__).with_name("core.py").read_text("utf-8") + "naïve café 字字 字 123,456.789 ÀÉÎ 'tis\n" * 9

# From `openai_public.py` of tiktoken 0.14; its own functions would fetch the ranks.
TIKTOKEN_PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}


def trained() -> BpeTokenizer:
    return BpeTokenizer.train([TEXT], vocab_size=700, specials=CHAT_SPECIALS)


def trained_ranks() -> dict[bytes, int]:
    """Ranks such as training gives them."""
    artifacts = trained().to_artifacts()
    ordinary = [token for token in artifacts["vocab"] if token not in artifacts["specialTokens"]]
    return {bytes_of(token): i for i, token in enumerate(ordinary)}


def arbitrary_ranks(generator: random.Random) -> dict[bytes, int]:
    """Ranks that no training gives: in any order, of tokens that are parts of no other, or that nothing makes."""
    tokens = {bytes([byte]) for byte in range(256)}
    while len(tokens) < 1200:
        tokens.add(bytes(generator.choices(b"aab '1\n\xc3\xa9e", k=generator.randint(2, 6))))
    shuffled = sorted(tokens)
    generator.shuffle(shuffled)
    return {token: i for i, token in enumerate(shuffled)}


def drawn_texts(count: int, generator: random.Random, specials: tuple[str, ...]) -> list[str]:
    """Texts of letters that fold strangely, spaces of all kinds, marks, specials and arbitrary characters."""
    letters = "aabABCsSdDtTlLvVrReEmM\u017f\u212aéßÿ字\u0301\u0295ǅʰ"
    hard = letters + "1234567890٣½ '\n\r\t  .,!/\u2028\x1c\x85\xa0\U0001f469\u200d\ufe0f"
    pieces = ["a", " ", "\n", "aa", "'s", "'LL", "the", "<|end", "|>", *specials]
    texts = []
    for _ in range(count):
        length = generator.choice((1, 2, 5, 20, 60))
        top = generator.choice((0x80, 0x800, 0x3000, 0x20000, 0x110000))
        alphabet = generator.choice((hard, pieces, None))
        if alphabet is None:
            points = (generator.randrange(top) for _ in range(length))
            texts.append("".join(chr(point) for point in points if not 0xD800 <= point < 0xE000))
        else:
            texts.append("".join(generator.choices(alphabet, k=length)))
    return texts


def rank_file(ranks: Mapping[bytes, int]) -> bytes:
    return b"".join(b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


def gpt2_files(tokenizer: BpeTokenizer) -> tuple[bytes, bytes]:
    """`vocab.json` and `merges.txt`, as GPT-2 writes them."""
    artifacts = tokenizer.to_artifacts()
    vocab = {token: i for i, token in enumerate(artifacts["vocab"])}
    merges = "".join(f"{merge}\n" for merge in ["#version: 0.2", *artifacts["merges"]])
    return json.dumps(vocab, ensure_ascii=False).encode(), merges.encode()
