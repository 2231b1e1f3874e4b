"""Documents: delimiters, blank parts, and pieces that tokenize like the whole."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.tokenizer import END_OF_TEXT, Tokenizer
from alpha_tokenizers import BpeTokenizer, CharTokenizer, WordTokenizer
from alpha_train.data.document import DocumentHashes, read_pieces


def documents_of(text: str, size: int = 1 << 22) -> list[str]:
    documents, current = [], ""
    for piece in read_pieces(io.StringIO(text, newline=""), size):
        current += piece.text
        if piece.is_last:
            documents.append(current)
            current = ""
    assert current == ""
    return documents


def test_a_file_without_delimiters_is_one_document() -> None:
    assert documents_of("one\n\ntwo\n") == ["one\n\ntwo\n"]


def test_delimiters_end_documents_and_blank_ones_do_not_count() -> None:
    text = f"{END_OF_TEXT}one{END_OF_TEXT} \n{END_OF_TEXT}\ntwo\n{END_OF_TEXT}\n"
    assert documents_of(text) == ["one", "\ntwo\n"]


fragments = st.sampled_from(
    ["a", "word", " ", "\n", "\n\n    ", "\t", "é", "\x1c", "\xa0", "!!", "\r\n", END_OF_TEXT, "<|end_"]
)
texts = st.lists(fragments, max_size=30).map("".join)


@given(texts, st.integers(1, 40))
def test_reading_in_pieces_gives_the_same_documents(text: str, size: int) -> None:
    assert documents_of(text, size) == [part for part in text.split(END_OF_TEXT) if part.strip()]


@pytest.fixture(scope="module")
def tokenizers() -> list[Tokenizer]:
    corpus = ["a word word!! a\n\n    a word\t\r\n\r\n word word"]
    return [kind.train(corpus) for kind in (BpeTokenizer, CharTokenizer, WordTokenizer)]


@given(texts.filter(lambda text: END_OF_TEXT not in text and len(text.strip()) > 0))
def test_pieces_have_the_tokens_of_the_whole(tokenizers: list[Tokenizer], text: str) -> None:
    text = text.replace("<|end_", "<")
    for size in (8, 20):
        pieces = list(read_pieces(io.StringIO(text, newline=""), size))
        if any(before.text[-1:].isspace() or not after.text[:1].isspace() for before, after in pairwise(pieces)):
            continue  # one enormous word was cut
        for tokenizer in tokenizers:
            ids = [i for piece in pieces for i in tokenizer.encode(piece.text)]
            assert ids == tokenizer.encode(text)


def test_a_piece_is_never_much_longer_than_asked_for() -> None:
    for text in ("word " * 1000, "x" * 5000):
        assert max(len(piece.text) for piece in read_pieces(io.StringIO(text), 100)) <= 200


def test_hashes_do_not_depend_on_pieces_or_files() -> None:
    whole, parts = DocumentHashes(), DocumentHashes()
    text = f"first document{END_OF_TEXT}second one"
    for piece in read_pieces(io.StringIO(text)):
        whole.add(piece)
    for part in text.split(END_OF_TEXT):
        one = DocumentHashes()
        for piece in read_pieces(io.StringIO(part), 8):
            one.add(piece)
        parts.extend(one)
    assert parts.content == whole.content
    assert parts.hashes.tolist() == whole.hashes.tolist()
    assert parts.sizes.tolist() == [14, 10]
    assert whole.characters == 24
