"""Figures and excerpts: what `alpha data stats` and `show` tell."""

import json
from pathlib import Path

import numpy as np

from alpha_core.descriptors import TokenizerInfo
from alpha_core.tokenizer import END_OF_TEXT
from alpha_tokenizers import BpeTokenizer, CharTokenizer
from alpha_train.data import Dataset, prepare, text_source
from alpha_train.data.excerpt import excerpts
from alpha_train.data.shard_export import export_shards
from alpha_train.data.statistics import statistics
from alpha_train.data.text_size import bytes_per_token, text_size

CHAR = TokenizerInfo(name="char", summary="", load=lambda: CharTokenizer)
TEXTS = ["aaaa é", "bb a", "c é a"]


def dataset() -> Dataset:
    return prepare(text_source(TEXTS), CHAR, validation_fraction=0.3)


def test_statistics_count_documents_characters_bytes_and_tokens() -> None:
    figures = statistics(dataset(), common=2)
    total = figures.total
    assert (total.documents, total.characters, total.bytes, total.tokens) == (3, 15, 17, 18)
    assert total.loss_tokens == total.tokens
    assert total.bytes_per_token == 17 / 18
    for key in ("documents", "characters", "bytes", "tokens"):
        assert getattr(figures.train, key) + getattr(figures.validation, key) == getattr(total, key)
    assert [(token.text, token.count) for token in figures.most_common] == [("a", 6), (" ", 4)]
    assert figures.used_tokens == 6
    assert figures.to_json()["mostCommon"][0]["count"] == 6


def test_shards_have_the_statistics_of_their_text(tmp_path: Path) -> None:
    text = dataset()
    (train, _) = export_shards(text, tmp_path / "shards", "nanogpt")
    assert statistics(prepare(str(train.parent), text.tokenizer)) == statistics(text)
    (train.parent / "shards.json").unlink()
    assert statistics(prepare(str(train.parent), text.tokenizer)) == statistics(text)


def test_the_size_of_a_text_is_that_of_its_decoded_tokens() -> None:
    tokenizer = BpeTokenizer.train(["über grüne Wälder und weiße Felder " * 20], vocab_size=300)
    text = "über weiße Wälder " * 30
    tokens = np.array([*tokenizer.encode(text), tokenizer.specials[END_OF_TEXT]], np.uint16)
    assert text_size(tokens, tokenizer) == (len(text.encode()), len(text))
    assert bytes_per_token(tokens, tokenizer) == len(text.encode()) / len(tokens)


def test_excerpts_are_the_first_documents_and_the_beginning_of_long_ones() -> None:
    text = dataset()
    found = list(excerpts(text.train, text.tokenizer, documents=5, tokens=3))
    assert len(found) == len(text.train.document_starts if text.train.document_starts is not None else ())
    assert found[0].texts == ("a", "a", "a")
    assert found[0].token_count == len(TEXTS[0]) + 1
    assert found[0].counts == (True, True, True)
    assert list(excerpts(text.train, text.tokenizer, documents=1, tokens=3)) == found[:1]


def test_excerpts_of_shards_are_pieces(tmp_path: Path) -> None:
    text = dataset()
    (train, _) = export_shards(text, tmp_path / "shards", "nanogpt")
    split = prepare(str(train), text.tokenizer, validation_fraction=0.0).train
    found = list(excerpts(split, text.tokenizer, documents=2, tokens=4))
    assert [excerpt.first_token for excerpt in found] == [0, 4]
    assert [i for excerpt in found for i in excerpt.ids] == text.train.tokens[:8].tolist()


def test_figures_are_json(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "only one document"}))
    figures = statistics(prepare(str(tmp_path / "x.jsonl"), CHAR, validation_fraction=0.0))
    content = json.loads(json.dumps(figures.to_json()))
    assert content["validation"] == {
        "documents": 0,
        "characters": 0,
        "bytes": 0,
        "tokens": 0,
        "lossTokens": 0,
        "bytesPerToken": None,
    }
