"""Tokenizers of other toolkits give the ids here that they give there."""

import json
import random
from base64 import b64decode

import pytest
import tiktoken
from tests.tokenizers.foreign import (
    SPECIALS,
    TEXT,
    TIKTOKEN_PATTERNS,
    arbitrary_ranks,
    drawn_texts,
    gpt2_files,
    rank_file,
    trained,
    trained_ranks,
)

from alpha_core.tokenizer import CHAT_SPECIALS
from alpha_tokenizers import BpeTokenizer, CharTokenizer, WordTokenizer, hugging_face_json
from alpha_tokenizers.gpt2_files import read_gpt2
from alpha_tokenizers.hugging_face import read_hugging_face
from alpha_tokenizers.rank_merges import merges_of_ranks
from alpha_tokenizers.tiktoken_ranks import read_ranks, tokenizer_of_ranks
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = 10_000
EACH_SPLIT = pytest.mark.parametrize("split", list(TIKTOKEN_PATTERNS))
RANKS = {"trained": trained_ranks(), "arbitrary": arbitrary_ranks(random.Random(1))}
EACH_RANKS = pytest.mark.parametrize("ranks", list(RANKS))


def texts_of(split: str, ranks: str, specials: tuple[str, ...]) -> list[str]:
    cases = len(TIKTOKEN_PATTERNS) * len(RANKS)
    texts = drawn_texts(-(-TEXTS // cases), random.Random(f"{split} {ranks}"), specials)
    return [*texts, "", TEXT, "a" * 5000, " " * 3000 + "\n" * 3000, "aaab" * 1000, "\u0301" * 999, "1" * 2000]


def hugging_face(tokenizer: BpeTokenizer | CharTokenizer | WordTokenizer) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(hugging_face_json(tokenizer.to_artifacts())))


@EACH_SPLIT
@EACH_RANKS
def test_rank_files_give_the_ids_of_tiktoken(split: str, ranks: str) -> None:
    theirs = tiktoken.Encoding(
        "small", pat_str=TIKTOKEN_PATTERNS[split], mergeable_ranks=RANKS[ranks], special_tokens=SPECIALS
    )
    ours = tokenizer_of_ranks(read_ranks(rank_file(RANKS[ranks])), split, SPECIALS)
    assert ours.vocab_size == theirs.n_vocab
    for text in texts_of(split, ranks, tuple(SPECIALS)):
        ids = ours.encode(text)
        assert ids == theirs.encode(text, allowed_special="all"), text
        assert ours.decode(ids) == text


@EACH_SPLIT
@EACH_RANKS
def test_exported_rank_files_give_the_same_ids_with_hugging_face(split: str, ranks: str) -> None:
    ours = tokenizer_of_ranks(RANKS[ranks], split, SPECIALS)
    theirs = hugging_face(ours)
    for text in texts_of(split, ranks, tuple(SPECIALS)):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids, text


def test_an_exported_tokenizer_gives_the_same_ids_and_texts_with_hugging_face() -> None:
    ours = trained()
    theirs = hugging_face(ours)
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in [*drawn_texts(5000, random.Random(2), CHAT_SPECIALS), TEXT, "a" * 5000]:
        ids = ours.encode(text)
        assert ids == theirs.encode(text, add_special_tokens=False).ids, text
        assert theirs.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("pairs", [False, True])
def test_a_tokenizer_that_hugging_face_trained_gives_the_same_ids(pairs: bool) -> None:
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    theirs.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(vocab_size=600, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False),
    )
    theirs.add_special_tokens([AddedToken("<|later|>", normalized=False)])
    saved = json.loads(theirs.to_str())
    if not pairs:  # as `tokenizers` wrote merges before 0.20
        saved["model"]["merges"] = [" ".join(pair) for pair in saved["model"]["merges"]]
    ours = read_hugging_face(json.dumps(saved).encode())
    assert ours.specials == {"<s>": 0, "<|later|>": 600}
    for text in [*drawn_texts(2000, random.Random(3), ("<s>", "<|later|>")), TEXT]:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids, text


@EACH_SPLIT
@EACH_RANKS
def test_export_and_import_give_the_same_artifacts(split: str, ranks: str) -> None:
    for tokenizer in (tokenizer_of_ranks(RANKS[ranks], split, SPECIALS), trained()):
        exported = json.dumps(hugging_face_json(tokenizer.to_artifacts()), ensure_ascii=False).encode()
        assert read_hugging_face(exported).to_artifacts() == tokenizer.to_artifacts()


def test_gpt2s_files_give_the_tokenizer_that_they_were_written_from() -> None:
    tokenizer = trained()
    assert read_gpt2(*gpt2_files(tokenizer), {}).to_artifacts() == tokenizer.to_artifacts()


def test_gpt2s_files_and_ranks_of_the_same_merges_give_the_same_ids() -> None:
    from_files = read_gpt2(*gpt2_files(trained()), {})
    from_ranks = tokenizer_of_ranks(trained_ranks(), "gpt2", dict.fromkeys(CHAT_SPECIALS))
    for text in [*drawn_texts(1000, random.Random(4), CHAT_SPECIALS), TEXT]:
        assert from_files.encode(text) == from_ranks.encode(text)


def test_merges_of_trained_ranks_are_the_merges_that_were_learned() -> None:
    merges = trained().to_artifacts()["merges"]
    tokenizer = tokenizer_of_ranks(trained_ranks(), "gpt2", {})
    assert tokenizer.to_artifacts()["merges"] == merges


def test_a_token_that_no_two_parts_make_has_no_merge() -> None:
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"cd": 257, b"abcd": 258, b"xyz": 259}
    assert merges_of_ranks(ranks) == [(b"a", b"b"), (b"c", b"d"), (b"ab", b"cd")]


def test_rank_files_with_windows_line_ends_are_read_like_others() -> None:
    data = rank_file(RANKS["trained"])
    assert read_ranks(data.replace(b"\n", b"\r\n")) == read_ranks(data) == RANKS["trained"]
    assert {b64decode(line.split()[0]) for line in data.splitlines()} == set(RANKS["trained"])


@pytest.mark.parametrize("kind", [CharTokenizer, WordTokenizer])
def test_exported_char_and_word_tokenizers_give_the_same_ids(kind: type[CharTokenizer | WordTokenizer]) -> None:
    generator = random.Random(7)
    symbols = "aBé'’#7_² \n\t字\u0301\u200dٱ!?😀"  # noqa: RUF001 (what the splits distinguish)
    texts = ["".join(generator.choices(symbols, k=generator.randrange(20))) for _ in range(TEXTS // 5)]
    ours = kind.train(texts[:40], specials=["<|x|>"])
    theirs = hugging_face(ours)
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in [*texts, f"{texts[0]}<|x|>a<|end_of_text|>", "<|unk|>", ""]:
        ids = ours.encode(text)
        assert theirs.encode(text).ids == ids, text
        decoded = theirs.decode(ids, skip_special_tokens=False)
        assert decoded.replace("<|unk|>", "\ufffd") == ours.decode(ids)


def test_exported_word_tokenizers_cut_at_every_character_as_here() -> None:
    ours = WordTokenizer.train(["a b"])
    theirs = hugging_face(ours)
    for first in range(0, 0x110000, 64):
        codes = [code for code in range(first, first + 64) if not 0xD800 <= code < 0xE000]
        text = " ".join(f"a{chr(code)}a" for code in codes)
        assert theirs.encode(text).ids == ours.encode(text)
