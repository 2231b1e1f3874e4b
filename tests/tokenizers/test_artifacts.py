"""Artifacts: plain JSON that rebuilds the tokenizer, and that is refused in one line when anything in it is wrong."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import CHAT_SPECIALS, END_OF_TEXT, Tokenizer
from alpha_tokenizers import BpeTokenizer, CharTokenizer, WordTokenizer

TEXT = "the cat sat on the mat; naïve café\nthe hat\n"
TRAINED: dict[str, Tokenizer] = {
    "char": CharTokenizer.train([TEXT], specials=CHAT_SPECIALS),
    "word": WordTokenizer.train([TEXT], specials=CHAT_SPECIALS),
    "bpe": BpeTokenizer.train([TEXT], vocab_size=270, specials=CHAT_SPECIALS),
}
EACH = pytest.mark.parametrize("name", list(TRAINED))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)


def artifacts_of(name: str) -> dict[str, Any]:
    return copy.deepcopy(TRAINED[name].to_artifacts())


@EACH
def test_artifacts_survive_json_and_rebuild_the_tokenizer(name: str) -> None:
    original = TRAINED[name]
    artifacts = json.loads(json.dumps(original.to_artifacts(), ensure_ascii=False).encode())
    rebuilt = type(original).from_artifacts(artifacts)
    text = f"{TEXT}<|user|>the zebra{END_OF_TEXT}"
    assert rebuilt.encode(text) == original.encode(text)
    assert rebuilt.decode(rebuilt.encode(text)) == original.decode(original.encode(text))
    assert (rebuilt.vocab_size, rebuilt.specials) == (original.vocab_size, original.specials)
    assert rebuilt.to_artifacts() == original.to_artifacts()


@EACH
def test_artifacts_have_the_agreed_keys(name: str) -> None:
    artifacts = artifacts_of(name)
    assert list(artifacts) == ["type", "vocabSize", "vocab", "merges", "specialTokens"]
    assert artifacts["type"] == name
    assert artifacts["vocabSize"] == len(artifacts["vocab"]) == TRAINED[name].vocab_size


@EACH
def test_changing_what_to_artifacts_returned_does_not_change_the_tokenizer(name: str) -> None:
    before = TRAINED[name].encode(TEXT)
    artifacts = TRAINED[name].to_artifacts()
    artifacts["vocab"].clear()
    artifacts["specialTokens"].clear()
    TRAINED[name].specials.clear()
    assert TRAINED[name].encode(TEXT) == before
    assert END_OF_TEXT in TRAINED[name].specials


def refused(name: str, artifacts: Any) -> str:
    with pytest.raises(TokenizerError) as caught:
        type(TRAINED[name]).from_artifacts(artifacts)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300
    return caught.value.message


@EACH
@pytest.mark.parametrize("key", ["type", "vocabSize", "vocab", "merges", "specialTokens"])
def test_a_missing_key_is_named(name: str, key: str) -> None:
    artifacts = artifacts_of(name)
    del artifacts[key]
    assert refused(name, artifacts) == f"the tokenizer artifact lacks the key `{key}`"


@EACH
@pytest.mark.parametrize("value", [None, 3, [], "text", {}])
def test_artifacts_that_are_no_artifacts_are_refused(name: str, value: Any) -> None:
    refused(name, value)


def test_an_unknown_key_is_refused() -> None:
    assert "unknown key `mergez`" in refused("bpe", artifacts_of("bpe") | {"mergez": []})


def test_artifacts_of_another_type_are_refused() -> None:
    assert refused("bpe", artifacts_of("word")) == "the tokenizer artifact is of type `word`, not `bpe`"


@EACH
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocabSize", 3),
        ("vocabSize", "270"),
        ("vocabSize", True),
        ("vocab", {"a": 0}),
        ("vocab", []),
        ("merges", "a b"),
        ("merges", [["a", "b"]]),
        ("merges", ["a b c"]),
        ("specialTokens", [END_OF_TEXT]),
        ("specialTokens", {}),
        ("specialTokens", {END_OF_TEXT: 0}),
        ("specialTokens", {END_OF_TEXT: -1}),
        ("specialTokens", {END_OF_TEXT: True}),
        ("specialTokens", {END_OF_TEXT: 10**9}),
        ("specialTokens", {END_OF_TEXT: [1]}),
    ],
)
def test_a_wrong_value_is_refused(name: str, key: str, value: Any) -> None:
    refused(name, artifacts_of(name) | {key: value})


@EACH
def test_a_repeated_token_is_refused(name: str) -> None:
    artifacts = artifacts_of(name)
    artifacts["vocab"][0] = artifacts["vocab"][1]
    assert "twice" in refused(name, artifacts)


@EACH
@pytest.mark.parametrize("token", ["", 7, [None], "\ud800"])
def test_a_token_that_is_no_proper_string_is_refused(name: str, token: Any) -> None:
    artifacts = artifacts_of(name)
    artifacts["vocab"][0] = token
    assert "`vocab`" in refused(name, artifacts)


@EACH
def test_a_lost_token_is_refused(name: str) -> None:
    artifacts = artifacts_of(name)
    artifacts["vocab"][0] = None
    assert refused(name, artifacts).startswith(
        "the vocabulary lacks the byte symbol `Ā`" if name == "bpe" else "`vocab` must hold non-empty strings"
    )


@pytest.mark.parametrize("name", ["char", "word"])
def test_a_token_that_encoding_cannot_reach_is_refused(name: str) -> None:
    artifacts = artifacts_of(name)
    artifacts["vocab"][0] = "two words"
    assert "not one symbol" in refused(name, artifacts)


@pytest.mark.parametrize("name", ["char", "word"])
def test_a_vocabulary_without_the_unknown_token_is_refused(name: str) -> None:
    artifacts = artifacts_of(name)
    artifacts["vocab"][artifacts["vocab"].index("<|unk|>")] = "z"
    assert "lacks `<|unk|>`" in refused(name, artifacts)


def test_merges_of_unknown_symbols_are_refused() -> None:
    artifacts = artifacts_of("bpe")
    artifacts["merges"][0] = "zz h"
    assert "uses `zz`, which no byte or earlier merge makes" in refused("bpe", artifacts)


def test_merges_in_an_impossible_order_are_refused() -> None:
    artifacts = artifacts_of("bpe")
    artifacts["merges"].reverse()
    assert "no byte or earlier merge makes" in refused("bpe", artifacts)


def test_a_merge_whose_product_is_not_in_the_vocabulary_is_refused() -> None:
    artifacts = artifacts_of("bpe")
    artifacts["merges"].append("Z Z")
    assert "makes `ZZ`, which is not in the vocabulary" in refused("bpe", artifacts)


def test_a_repeated_merge_is_refused() -> None:
    artifacts = artifacts_of("bpe")
    artifacts["merges"].append(artifacts["merges"][0])
    assert "which an earlier merge makes" in refused("bpe", artifacts)


def test_a_token_that_no_merge_makes_is_refused() -> None:
    artifacts = artifacts_of("bpe")
    artifacts["merges"].pop()
    assert "which no merge makes" in refused("bpe", artifacts)


def test_a_vocabulary_without_all_bytes_is_refused() -> None:
    artifacts = artifacts_of("bpe")
    artifacts["vocab"][artifacts["vocab"].index("Ġ")] = "ZZ"
    assert "lacks the byte symbol `Ġ`" in refused("bpe", artifacts)


def test_artifacts_of_other_toolkits_keep_split_whole_words_and_unused_ids() -> None:
    artifacts = artifacts_of("bpe")
    size, last = artifacts["vocabSize"], artifacts["vocab"][-1]
    artifacts["vocab"] += [None, "<|later|>"]
    artifacts |= {"vocabSize": size + 2, "split": "cl100k", "wholeWords": True}
    artifacts["specialTokens"]["<|later|>"] = size + 1
    tokenizer = BpeTokenizer.from_artifacts(json.loads(json.dumps(artifacts)))
    assert tokenizer.to_artifacts() == artifacts
    assert tokenizer.encode(f"{last}<|later|>") == [size - 1, size + 1]
    assert tokenizer.decode([size, size + 1]) == "\ufffd<|later|>"


def test_gpt2s_end_of_text_ends_documents_too() -> None:
    text = json.dumps(artifacts_of("bpe")).replace(END_OF_TEXT, "<|endoftext|>")
    tokenizer = BpeTokenizer.from_artifacts(json.loads(text))
    assert tokenizer.end_of_text == tokenizer.specials["<|endoftext|>"]
    assert TRAINED["bpe"].end_of_text == TRAINED["bpe"].specials[END_OF_TEXT]


def test_a_tokenizer_needs_no_special_token() -> None:
    artifacts = artifacts_of("bpe")
    specials = len(artifacts["specialTokens"])
    del artifacts["vocab"][-specials:]
    artifacts |= {"vocabSize": artifacts["vocabSize"] - specials, "specialTokens": {}}
    tokenizer = BpeTokenizer.from_artifacts(artifacts)
    assert tokenizer.specials == {}
    assert tokenizer.end_of_text is None
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_a_word_that_is_a_token_takes_no_merges_where_whole_words_are_asked_for() -> None:
    artifacts = artifacts_of("bpe")
    artifacts["vocab"].append("zqz")
    artifacts["vocabSize"] += 1
    assert "`zqz`, which no merge makes" in refused("bpe", artifacts)
    tokenizer = BpeTokenizer.from_artifacts(artifacts | {"wholeWords": True})
    assert tokenizer.encode("zqz") == [artifacts["vocabSize"] - 1]
    assert len(tokenizer.encode("zqzz")) == 4


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"split": "cl10k"}, "there is no split `cl10k`; there are `gpt2`, `cl100k`, `o200k`"),
        ({"split": None}, "there is no split `None`"),
        ({"split": ["gpt2"]}, "there is no split `['gpt2']`"),
        ({"wholeWords": "yes"}, "`wholeWords` must be `true` or `false`, not `yes`"),
    ],
)
def test_a_wrong_split_or_whole_words_is_refused(extra: dict[str, Any], message: str) -> None:
    assert message in refused("bpe", artifacts_of("bpe") | extra)


@settings(deadline=None)
@given(st.data())
def test_a_mutated_artifact_loads_or_is_refused_in_one_line(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(TRAINED)))
    artifacts = artifacts_of(name)
    key = data.draw(st.sampled_from(list(artifacts)))
    part = artifacts[key]
    if isinstance(part, list) and part and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(part) - 1))
        part[place] = data.draw(JSON_VALUES | st.sampled_from(part))
    elif isinstance(part, dict) and data.draw(st.booleans()):
        part[data.draw(st.sampled_from(list(part)) | st.text(max_size=3))] = data.draw(JSON_VALUES)
    else:
        artifacts[key] = data.draw(JSON_VALUES)
    try:
        tokenizer = type(TRAINED[name]).from_artifacts(artifacts)
    except TokenizerError:
        refused(name, artifacts)
    else:
        assert isinstance(tokenizer.decode(tokenizer.encode(TEXT)), str)
