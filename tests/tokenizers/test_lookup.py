"""The char and the word tokenizer: exact on what they know, one declared id for what they do not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import END_OF_TEXT
from alpha_tokenizers import CharTokenizer, WordTokenizer
from alpha_tokenizers.lookup import REPLACEMENT, UNKNOWN, LookupTokenizer

BOTH = pytest.mark.parametrize("tokenizer_class", [CharTokenizer, WordTokenizer])
CHORDS = "Em7 G Dsus4\nA7sus4  F#m7\tC/G\r\n\n'Cause maybe, you're gonna!\n"


@BOTH
@settings(deadline=None)
@given(text=st.text())
def test_text_of_the_training_set_round_trips(tokenizer_class: type[LookupTokenizer], text: str) -> None:
    tokenizer = tokenizer_class.train([text])
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.unknown_id not in ids


@BOTH
@settings(deadline=None)
@given(text=st.text(st.characters() | st.sampled_from("\ud800 a")))
def test_any_text_encodes_within_the_vocabulary(tokenizer_class: type[LookupTokenizer], text: str) -> None:
    tokenizer = tokenizer_class.train([CHORDS])
    assert all(0 <= i < tokenizer.vocab_size for i in tokenizer.encode(text))


@BOTH
def test_trained_on_the_same_text_in_any_order_it_is_the_same(tokenizer_class: type[LookupTokenizer]) -> None:
    texts = [CHORDS, "another text", "and a third"]
    forward = tokenizer_class.train(texts, vocab_size=20)
    assert forward.to_artifacts() == tokenizer_class.train(reversed(texts), vocab_size=20).to_artifacts()


@BOTH
def test_specials_are_one_id_and_decode_to_their_text(tokenizer_class: type[LookupTokenizer]) -> None:
    tokenizer = tokenizer_class.train([CHORDS], specials=["<|user|>"])
    text = f"<|user|>G{END_OF_TEXT}{END_OF_TEXT}Em7"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert ids[0] == tokenizer.specials["<|user|>"] == tokenizer.vocab_size - 2
    assert ids.count(tokenizer.specials[END_OF_TEXT]) == 2


@BOTH
def test_specials_in_the_training_text_are_not_symbols(tokenizer_class: type[LookupTokenizer]) -> None:
    tokenizer = tokenizer_class.train([f"a{END_OF_TEXT}b"])
    assert tokenizer.to_artifacts()["vocab"] == ["a", "b", UNKNOWN, END_OF_TEXT]


@BOTH
def test_the_text_of_the_unknown_token_is_ordinary_text(tokenizer_class: type[LookupTokenizer]) -> None:
    tokenizer = tokenizer_class.train([UNKNOWN])
    assert UNKNOWN not in tokenizer.specials
    assert tokenizer.decode(tokenizer.encode(UNKNOWN)) == UNKNOWN


@BOTH
def test_lone_surrogates_stay_out_of_the_vocabulary(tokenizer_class: type[LookupTokenizer]) -> None:
    tokenizer = tokenizer_class.train(["a\ud800b"])
    assert tokenizer.encode("\ud800") == [tokenizer.unknown_id]
    assert "".join(tokenizer.to_artifacts()["vocab"]).encode()


@BOTH
def test_the_unknown_token_cannot_be_asked_for_as_a_special(tokenizer_class: type[LookupTokenizer]) -> None:
    with pytest.raises(TokenizerError, match="reserved"):
        tokenizer_class.train(["a"], specials=[UNKNOWN])


@BOTH
def test_a_vocabulary_without_room_is_refused(tokenizer_class: type[LookupTokenizer]) -> None:
    with pytest.raises(TokenizerError, match="no room"):
        tokenizer_class.train(["a"], vocab_size=1)
    assert tokenizer_class.train(["a"], vocab_size=2).vocab_size == 2


@BOTH
@pytest.mark.parametrize("ids", [[-1], [10**9], ["1"]])
def test_ids_outside_the_vocabulary_are_refused(tokenizer_class: type[LookupTokenizer], ids: list[int]) -> None:
    with pytest.raises(TokenizerError, match="token id"):
        tokenizer_class.train([CHORDS]).decode(ids)


def test_char_ids_follow_code_points() -> None:
    tokenizer = CharTokenizer.train(["banana"])
    assert tokenizer.to_artifacts()["vocab"] == ["a", "b", "n", UNKNOWN, END_OF_TEXT]
    assert tokenizer.encode("ban") == [1, 0, 2]


def test_an_unknown_char_is_one_id_and_decodes_as_the_replacement_character() -> None:
    tokenizer = CharTokenizer.train(["abc"])
    assert tokenizer.encode("a?é") == [0, tokenizer.unknown_id, tokenizer.unknown_id]
    assert tokenizer.decode(tokenizer.encode("a?é")) == f"a{REPLACEMENT * 2}"


def test_an_unknown_word_is_one_id_and_decodes_as_the_replacement_character() -> None:
    tokenizer = WordTokenizer.train([CHORDS])
    assert tokenizer.decode(tokenizer.encode("Em7 Bbmaj9 G")) == f"Em7 {REPLACEMENT} G"


def test_words_chords_marks_and_whitespace_are_tokens() -> None:
    tokenizer = WordTokenizer.train([CHORDS])
    assert [tokenizer.decode([i]) for i in tokenizer.encode("F#m7  C/G\n")] == ["F#m7", " ", " ", "C", "/", "G", "\n"]


@pytest.mark.parametrize(
    ("tokenizer_class", "text"), [(CharTokenizer, "cccbbbaad"), (WordTokenizer, "c\nc\nc\nb\nb\nb\na\na\nd")]
)
def test_a_limited_vocabulary_keeps_the_most_frequent_symbols(
    tokenizer_class: type[LookupTokenizer], text: str
) -> None:
    kept = tokenizer_class.train([text], vocab_size=5).to_artifacts()["vocab"][:-2]
    assert kept == (["a", "b", "c"] if tokenizer_class is CharTokenizer else ["\n", "b", "c"])


def test_equally_frequent_symbols_are_kept_in_code_point_order() -> None:
    assert CharTokenizer.train(["dcba"], vocab_size=4).to_artifacts()["vocab"][:-2] == ["a", "b"]


def test_word_vocabulary_is_limited_by_default_and_char_vocabulary_is_not() -> None:
    many = " ".join(f"w{i}" for i in range(9000))
    assert WordTokenizer.train([many]).vocab_size == 8192
    assert CharTokenizer.train(["".join(map(chr, range(0x4E00, 0x4E00 + 9000)))]).vocab_size == 9002
