"""Splitting text into words: nothing is lost, and batches change nothing."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from alpha_tokenizers import split
from alpha_tokenizers.byte_symbols import BYTE_SYMBOLS, bytes_of, symbols_of
from alpha_tokenizers.split import GPT2_WORDS, PLAIN_WORDS, split_words

ANY_TEXT = st.text(st.characters() | st.sampled_from(" \t\n\r'#a1.é字\u2028\x1c\ud800"))


def joined(words: "regex.Pattern[str]", text: str) -> list[str]:
    return [word for batch in split_words(words, text) for word in batch]


def test_gpt2_split_takes_leading_spaces_contractions_numbers_and_trailing_whitespace_apart() -> None:
    text = "Hello we'll  see 123abc!!\n\n  x'S \t"
    expected = ["Hello", " we", "'ll", " ", " see", " 123", "abc", "!!", "\n\n ", " x", "'", "S", " \t"]
    assert joined(GPT2_WORDS, text) == expected


def test_plain_split_keeps_chord_names_whole_and_whitespace_apart() -> None:
    expected = ["F#m7", " ", "G", "/", "B", "\n", "\n", "A#", " ", "don't", "."]
    assert joined(PLAIN_WORDS, "F#m7 G/B\n\nA# don't.") == expected


@pytest.mark.parametrize("words", [GPT2_WORDS, PLAIN_WORDS])
@given(text=ANY_TEXT)
def test_words_joined_are_the_text(words: "regex.Pattern[str]", text: str) -> None:
    assert "".join(joined(words, text)) == text


@pytest.mark.parametrize("words", [GPT2_WORDS, PLAIN_WORDS])
@given(text=ANY_TEXT)
def test_batches_do_not_change_the_words(words: "regex.Pattern[str]", text: str) -> None:
    whole = words.findall(text)
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
