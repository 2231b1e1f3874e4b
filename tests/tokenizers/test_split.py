"""Splitting text into words: nothing is lost, and batches change nothing."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from alpha_tokenizers import split
from alpha_tokenizers.byte_symbols import BYTE_SYMBOLS, bytes_of, symbols_of
from alpha_tokenizers.split import BPE_SPLITS, GPT2_WORDS, PLAIN_WORDS, split_words
from alpha_tokenizers.unicode_16 import as_unicode_16

ANY_TEXT = st.text(st.characters() | st.sampled_from(" \t\n\r'#a1.é字\u2028\x1c\ud800\u0295\U00011db0"))
EACH_PATTERN = pytest.mark.parametrize("words", [*BPE_SPLITS.values(), PLAIN_WORDS], ids=[*BPE_SPLITS, "plain"])


def joined(words: "regex.Pattern[str]", text: str) -> list[str]:
    return [word for batch in split_words(words, text) for word in batch]


def test_gpt2_split_takes_leading_spaces_contractions_numbers_and_trailing_whitespace_apart() -> None:
    text = "Hello we'll  see 123abc!!\n\n  x'S \t"
    expected = ["Hello", " we", "'ll", " ", " see", " 123", "abc", "!!", "\n\n ", " x", "'", "S", " \t"]
    assert joined(GPT2_WORDS, text) == expected


def test_plain_split_keeps_chord_names_whole_and_whitespace_apart() -> None:
    expected = ["F#m7", " ", "G", "/", "B", "\n", "\n", "A#", " ", "don't", "."]
    assert joined(PLAIN_WORDS, "F#m7 G/B\n\nA# don't.") == expected


@EACH_PATTERN
@given(text=ANY_TEXT)
def test_words_joined_are_the_text(words: "regex.Pattern[str]", text: str) -> None:
    assert "".join(joined(words, text)) == text


@EACH_PATTERN
@given(text=ANY_TEXT)
def test_batches_do_not_change_the_words(words: "regex.Pattern[str]", text: str) -> None:
    whole = joined(words, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "_BATCH_CHARACTERS", 1)
        assert joined(words, text) == whole


def test_byte_symbols_are_gpt2s_table() -> None:
    assert len(set(BYTE_SYMBOLS)) == 256
    assert not any(symbol.isspace() or not symbol.isprintable() for symbol in BYTE_SYMBOLS)
    # From GPT-2's `bytes_to_unicode`: NUL, newline, space, DEL, no-break space, soft hyphen; then two that stay.
    for byte, symbol in {0: "Ā", 10: "Ċ", 32: "Ġ", 127: "ġ", 160: "ł", 173: "Ń", 33: "!", 255: "ÿ"}.items():
        assert BYTE_SYMBOLS[byte] == symbol


@given(st.binary())
def test_byte_symbols_read_back_as_the_bytes(data: bytes) -> None:
    assert bytes_of(symbols_of(data)) == data


def test_letters_newer_than_unicode_16_are_marks_whatever_tables_regex_has() -> None:
    tolong_siki = "\U00011db0"  # a letter since Unicode 17
    assert joined(GPT2_WORDS, f"a{tolong_siki}a") == ["a", tolong_siki, "a"]


def test_classes_have_the_sizes_that_unicode_16_gives_them() -> None:
    every_character = as_unicode_16("".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)])))
    # As `tiktoken` 0.14 and `regex` 2024.9.11 count them. A larger number means that `regex` has tables newer than 18.
    sizes = {"L": 141028, "N": 1911, "M": 2501, "Lu": 1858, "Ll": 2258, "Lt": 31, "Lm": 404, "Lo": 136477}
    assert {name: len(regex.findall(rf"\p{{{name}}}", every_character)) for name in sizes} == sizes
