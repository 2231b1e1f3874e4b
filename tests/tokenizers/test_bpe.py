"""The byte-level BPE tokenizer against an obvious, slow one, and what it promises about any text."""

import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import CHAT_SPECIALS, END_OF_TEXT
from alpha_tokenizers import BpeTokenizer, bpe
from alpha_tokenizers.byte_symbols import bytes_of
from alpha_tokenizers.split import GPT2_WORDS

ANY_TEXT = st.text(st.characters() | st.sampled_from("aab '\n\ud800\udc00é字"))
REPETITIVE_TEXT = st.text(st.sampled_from("aaab bc\n"), max_size=60)
CORPUS = [
    "We hold these truths to be self-evident, that all men are created equal, that they are endowed by their Creator "
    "with certain unalienable Rights, that among these are Life, Liberty and the pursuit of Happiness.\n",
    "naïve café, naïve cafés; 字字字 字字\n",
    "aaaa aaa aaaaaaa  \n\n    12 123 1234",
]


@pytest.fixture(scope="module")
def tokenizer() -> BpeTokenizer:
    return BpeTokenizer.train(CORPUS, vocab_size=290, specials=CHAT_SPECIALS)


def joined_pairs(tokens: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """Merges every occurrence of `pair`, left to right."""
    out: list[bytes] = []
    for token in tokens:
        if out and (out[-1], token) == pair:
            out[-1] += token
        else:
            out.append(token)
    return out


def slow_merges(texts: list[str], n_merges: int) -> list[tuple[bytes, bytes]]:
    """Recounts all pairs of all words before each merge."""
    ids = {bytes([byte]): byte for byte in range(256)}
    words = [[bytes([byte]) for byte in word.encode()] for text in texts for word in GPT2_WORDS.findall(text)]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges:
        counts = Counter(pair for word in words for pair in pairwise(word))
        candidates = [pair for pair, count in counts.items() if count >= 2]
        if not candidates:
            break
        best = min(candidates, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        merges.append(best)
        ids[b"".join(best)] = len(ids)
        words = [joined_pairs(word, best) for word in words]
    return merges


def slow_encode(text: str, merges: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Applies every merge, in order, to every word."""
    tokens: list[bytes] = []
    for word in GPT2_WORDS.findall(text):
        parts = [bytes([byte]) for byte in word.encode("utf-8", "surrogatepass")]
        for pair in merges:
            parts = joined_pairs(parts, pair)
        tokens.extend(parts)
    return tokens


def merges_of(tokenizer: BpeTokenizer) -> list[tuple[bytes, bytes]]:
    pairs = (merge.split(" ") for merge in tokenizer.to_artifacts()["merges"])
    return [(bytes_of(left), bytes_of(right)) for left, right in pairs]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(REPETITIVE_TEXT, max_size=4), n_merges=st.integers(0, 20))
def test_training_learns_the_merges_of_a_slow_reference(texts: list[str], n_merges: int) -> None:
    trained = BpeTokenizer.train(texts, vocab_size=257 + n_merges)
    assert merges_of(trained) == slow_merges(texts, n_merges)


def test_training_learns_the_merges_of_a_slow_reference_on_prose(tokenizer: BpeTokenizer) -> None:
    assert merges_of(tokenizer) == slow_merges(CORPUS, 290 - 256 - 3)


@given(text=ANY_TEXT | REPETITIVE_TEXT)
def test_encoding_gives_the_tokens_of_a_slow_reference(tokenizer: BpeTokenizer, text: str) -> None:
    vocab = tokenizer.to_artifacts()["vocab"]
    assert [bytes_of(vocab[i]) for i in tokenizer.encode(text)] == slow_encode(text, merges_of(tokenizer))


@given(text=ANY_TEXT)
def test_any_string_round_trips(tokenizer: BpeTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=st.lists(ANY_TEXT | st.sampled_from(CHAT_SPECIALS)).map("".join))
def test_text_with_specials_round_trips_and_each_special_is_one_id(tokenizer: BpeTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    for name in CHAT_SPECIALS:
        assert ids.count(tokenizer.specials[name]) == text.count(name)


@given(st.data())
def test_any_ids_decode_to_text(tokenizer: BpeTokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    assert isinstance(tokenizer.decode(ids), str)


def test_malformed_bytes_decode_as_replacement_characters(tokenizer: BpeTokenizer) -> None:
    assert tokenizer.decode([ord("a"), 0xFF, ord("b"), 0xE5]) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("ids", [[-1], [290], [0, 10**30], ["1"], [1.0], [None]])
def test_ids_outside_the_vocabulary_are_refused(tokenizer: BpeTokenizer, ids: list[int]) -> None:
    with pytest.raises(TokenizerError, match="token id"):
        tokenizer.decode(ids)


def test_decoding_takes_arrays(tokenizer: BpeTokenizer) -> None:
    assert tokenizer.decode(np.array(tokenizer.encode("the cat"), dtype=np.uint16)) == "the cat"  # type: ignore[arg-type]


def test_ids_are_bytes_then_merges_then_specials(tokenizer: BpeTokenizer) -> None:
    assert tokenizer.vocab_size == 290
    assert tokenizer.specials == {"<|user|>": 287, "<|assistant|>": 288, END_OF_TEXT: 289}
    assert [tokenizer.decode([i]) for i in range(128)] == [chr(i) for i in range(128)]
    assert tokenizer.encode(f"the{END_OF_TEXT}") == [*tokenizer.encode("the"), 289]


def test_the_longer_of_two_matching_specials_is_taken() -> None:
    tokenizer = BpeTokenizer.train([], vocab_size=300, specials=["<a", "<a>"])
    assert tokenizer.encode("<a><a") == [tokenizer.specials["<a>"], tokenizer.specials["<a"]]


def test_a_special_may_look_like_a_byte_symbol() -> None:
    tokenizer = BpeTokenizer.train(["the the"], vocab_size=300, specials=["Ġ", "a"])
    assert tokenizer.decode(tokenizer.encode("a Ġ b")) == "a Ġ b"
    assert BpeTokenizer.from_artifacts(tokenizer.to_artifacts()).encode("aĠ ") == tokenizer.encode("aĠ ")


def test_merges_never_reach_across_a_special() -> None:
    trained = BpeTokenizer.train([f"ab{END_OF_TEXT}" * 5], vocab_size=300)
    assert merges_of(trained) == [(b"a", b"b")]


def test_training_does_not_depend_on_the_order_of_the_texts() -> None:
    one = BpeTokenizer.train(CORPUS, vocab_size=300)
    assert one.to_artifacts() == BpeTokenizer.train(reversed(CORPUS), vocab_size=300).to_artifacts()


def test_vocabulary_stays_smaller_when_no_pair_occurs_twice() -> None:
    tokenizer = BpeTokenizer.train(["abab xyz"])
    assert merges_of(tokenizer) == [(b"a", b"b")]
    assert tokenizer.vocab_size == 256 + 1 + 1


def test_training_on_nothing_gives_the_bytes() -> None:
    tokenizer = BpeTokenizer.train([])
    assert tokenizer.encode("é") == list("é".encode())


def test_a_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(TokenizerError, match="no room for 256 bytes and 1 special") as caught:
        BpeTokenizer.train(["text"], vocab_size=256)
    assert caught.value.hint == "use at least 257"


def test_a_single_string_is_not_a_list_of_texts() -> None:
    with pytest.raises(TokenizerError, match="not one string"):
        BpeTokenizer.train("text")


@pytest.mark.parametrize("specials", [[""], ["a", "a"], [3], "abc", ["\ud800"]])
def test_bad_special_names_are_refused(specials: list[str]) -> None:
    with pytest.raises(TokenizerError, match="special"):
        BpeTokenizer.train(["text"], vocab_size=300, specials=specials)


def test_a_word_of_any_length_is_encoded_in_nearly_linear_time(tokenizer: BpeTokenizer) -> None:
    word = "thecatsatonthemat" * 12_000
    start = time.perf_counter()
    ids = tokenizer.encode(word)
    assert time.perf_counter() - start < 5  # a quadratic merge needs minutes
    assert tokenizer.decode(ids) == word


def test_a_full_cache_changes_no_ids(tokenizer: BpeTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(CORPUS)
    expected = tokenizer.encode(text)
    monkeypatch.setattr(bpe, "_CACHED_WORDS", 2)
    fresh = BpeTokenizer.from_artifacts(tokenizer.to_artifacts())
    assert fresh.encode(text) == expected == fresh.encode(text)


def test_tokens_are_written_in_gpt2s_characters() -> None:
    artifacts = BpeTokenizer.train(["the the the"], vocab_size=260).to_artifacts()
    assert artifacts["merges"] == ["h e", "t he", "Ġ the"]
    assert artifacts["vocab"][256:] == ["he", "the", "Ġthe", END_OF_TEXT]


def test_ids_may_stand_in_any_order_in_artifacts() -> None:
    original = BpeTokenizer.train(CORPUS, vocab_size=290)
    artifacts = original.to_artifacts()
    artifacts["vocab"] = artifacts["vocab"][::-1]
    artifacts["specialTokens"] = {END_OF_TEXT: 0}
    turned = BpeTokenizer.from_artifacts(artifacts)
    text = f"the café{END_OF_TEXT}"
    assert turned.encode(text) == [289 - i for i in original.encode(text)]
    assert turned.decode(turned.encode(text)) == text
