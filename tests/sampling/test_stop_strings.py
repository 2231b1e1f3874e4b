"""Stop strings against a definition that reads the whole text, and texts whose characters take several tokens."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_tokenizers import BpeTokenizer, CharTokenizer
from alpha_train.sampling.stop_strings import StopStrings
from alpha_train.sampling.text_decoder import TextDecoder

PIECES = st.lists(st.text("ab", max_size=4), max_size=12)
STRINGS = st.lists(st.text("ab", min_size=1, max_size=5), max_size=4)


def cut(text: str, strings: Sequence[str]) -> tuple[str, str | None]:
    """Returns the text before the stop string that is complete first, the longest of these, and the string."""
    for end in range(1, len(text) + 1):
        ending = [string for string in strings if text[:end].endswith(string)]
        if ending:
            found = max(ending, key=len)
            return text[: end - len(found)], found
    return text, None


@given(PIECES, STRINGS)
def test_text_is_cut_before_the_first_stop_string_whatever_the_pieces(pieces: list[str], strings: list[str]) -> None:
    state, shown = StopStrings(strings), ""
    text, found = cut("".join(pieces), strings)
    for piece in pieces:
        state, certain = state.push(piece)
        shown += certain
        assert text.startswith(shown)  # nothing of a stop string is ever let through
        if state.found is not None:
            break
    assert (shown + state.held, state.found) == (text, found)


@given(PIECES, STRINGS)
def test_no_more_is_held_back_than_may_be_a_stop_string(pieces: list[str], strings: list[str]) -> None:
    state = StopStrings(strings)
    for piece in pieces:
        state, _ = state.push(piece)
        if state.found is not None:
            return
        assert not state.held or any(string.startswith(state.held) for string in strings)


def test_a_stop_string_across_pieces() -> None:
    state, first = StopStrings(["\n\n", "User:"]).push("Hi.\nUs")
    assert first == "Hi.\n"
    state, second = state.push("e")
    assert second == ""
    assert state.push("d")[1] == "Used"
    state, third = state.push("r: what")
    assert (third, state.found) == ("", "User:")


IDS = st.lists(st.integers(0, 261).filter(lambda i: i != 0xED), max_size=20)  # 0xED begins the bytes of surrogates


@pytest.fixture(scope="module")
def tokenizer() -> BpeTokenizer:
    return BpeTokenizer.train(["naïve café 😀 " * 4], vocab_size=262)


@given(ids=IDS)
def test_decoded_pieces_join_to_the_decoded_whole(ids: list[int], tokenizer: BpeTokenizer) -> None:
    decoder, text = TextDecoder(tokenizer), ""
    for token in ids:
        decoder, piece = decoder.push(token)
        text += piece
        assert not piece.endswith("\N{REPLACEMENT CHARACTER}")
    assert text + decoder.pending_text() == tokenizer.decode(ids)


@given(text=st.text())
def test_text_is_shown_as_soon_as_its_characters_are_complete(text: str, tokenizer: BpeTokenizer) -> None:
    decoder, shown, ids = TextDecoder(tokenizer), "", tokenizer.encode(text)
    for place, token in enumerate(ids, 1):
        decoder, piece = decoder.push(token)
        shown += piece
        if not tokenizer.decode(ids[:place]).endswith("\N{REPLACEMENT CHARACTER}"):
            assert shown == tokenizer.decode(ids[:place])


def test_unknown_symbols_are_shown_too() -> None:
    tokenizer = CharTokenizer.train(["ab"])
    decoder, text = TextDecoder(tokenizer), ""
    for token in tokenizer.encode("a??b?"):
        decoder, piece = decoder.push(token)
        text += piece
    assert text == "a\ufffd\ufffdb"
    assert decoder.pending_text() == "\ufffd"
