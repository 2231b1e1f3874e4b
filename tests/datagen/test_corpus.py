"""Text made by rules: reproducible, whole, and as its grammar says."""

import hashlib
import re

import pytest

from alpha_core.tokenizer import END_OF_TEXT
from alpha_train.datagen.corpus import corpus
from alpha_train.datagen.kinds import KINDS, Kind

FINGERPRINTS = {
    "abc": "583c759287880459",
    "chords": "73b2f1b0b3bf7066",
    "dumb_finance": "54086d9ef39951f6",
    "chaos": "f8d73b45188b9a43",
}
"""SHA-256 of 20 kB with seed 1. A change here changes the corpora that people know by their seed."""
EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def text_of(kind: Kind, seed: int = 1, size: int = 20_000) -> str:
    return "".join(corpus(kind, seed=seed, size=size))


def documents_of(name: str, seed: int = 1, size: int = 50_000) -> list[str]:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    return text_of(kind, seed, size).split(END_OF_TEXT)


@EACH_KIND
def test_the_seed_decides_the_text(kind: Kind):
    assert text_of(kind, seed=7) == text_of(kind, seed=7)
    assert text_of(kind, seed=7) != text_of(kind, seed=8)


@EACH_KIND
def test_a_larger_corpus_begins_with_the_smaller_one(kind: Kind):
    assert text_of(kind, size=30_000).startswith(text_of(kind, size=10_000))


@EACH_KIND
def test_the_size_is_met_from_below_with_whole_documents(kind: Kind):
    text = text_of(kind, size=20_000)
    assert 18_000 < len(text.encode()) <= 20_000
    assert all(document.strip() and document.endswith("\n") for document in text.split(END_OF_TEXT))
    assert not text.endswith(END_OF_TEXT)


@EACH_KIND
def test_one_document_is_there_however_small_the_size(kind: Kind):
    assert END_OF_TEXT not in text_of(kind, size=1)
    assert text_of(kind, size=1)


@EACH_KIND
def test_documents_differ(kind: Kind):
    documents = text_of(kind, size=50_000).split(END_OF_TEXT)
    assert len(set(documents)) > 0.9 * len(documents)


@EACH_KIND
def test_texts_are_the_same_on_every_machine(kind: Kind):
    assert hashlib.sha256(text_of(kind).encode()).hexdigest()[:16] == FINGERPRINTS[kind.name]


def test_bars_of_a_tune_add_up():
    for tune in documents_of("abc"):
        header, *lines = tune.strip().split("K:")
        assert header.startswith("X:1\nT:")
        over, under = map(int, re.search(r"M:(\d)/(\d)", header).groups())  # type: ignore[union-attr]
        bars = re.split(r"\|:?|:\|", "".join(lines[0].split("\n", 1)[1:]).replace("\n", " "))
        lengths = [
            sum(int(length or 1) for length in re.findall(r"[A-Ga-g]([0-9]?)", bar)) for bar in bars if bar.strip(" :")
        ]
        assert lengths == [8 * over // under] * 16


def test_songs_repeat_their_sections():
    for song in documents_of("chords"):
        lines = song.strip().splitlines()
        assert len(set(lines)) < len(lines)
        assert all(re.fullmatch(r"[A-G][#b]?(m|m7|maj7|7|add9|sus4)?", chord) for chord in song.split())
        assert {len(line.split()) for line in lines} in ({4}, {8})


def test_sums_are_right():
    sums = re.findall(r"^(\d+ [-+*] \d+) = (-?\d+)$", "\n".join(documents_of("chaos")), flags=re.MULTILINE)
    assert len(sums) > 20
    assert all(eval(left) == int(right) for left, right in sums)


def test_programs_do_what_their_comments_say():
    programs = [text for text in documents_of("chaos") if text.rstrip().splitlines()[-1].startswith("print(")]
    assert programs
    for program in programs:
        names: dict[str, int] = {}
        for line in program.strip().splitlines():
            if line.startswith("print("):
                assert str(next(iter(names.values()))) == line.split("# ")[1]
            else:
                exec(line, {}, names)


def test_articles_suit_their_nouns():
    text = "\n".join(documents_of("chaos") + documents_of("dumb_finance"))
    assert not re.search(r"\ba [aeiou]", text)
