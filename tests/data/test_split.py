"""What is held out for validation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.errors import DataError
from alpha_train.data import text_source
from alpha_train.data.split import held_out_documents, split_pieces
from alpha_train.data.survey import pieces_of, survey


def split(texts: list[str], fraction: float) -> tuple[list[str], list[str]]:
    text = survey(text_source(texts))
    sides: tuple[list[str], list[str]] = ([], [])
    for is_validation, piece in split_pieces(pieces_of(text.texts), text.documents, fraction):
        sides[is_validation].append(piece.text)
    return sides


def held_out(hashes: list[int], sizes: list[int], fraction: float) -> list[bool]:
    chosen = held_out_documents(np.array(hashes, np.uint64), np.array(sizes, np.uint64), fraction)
    return [bool(is_chosen) for is_chosen in chosen]


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 1000)), min_size=2, max_size=40),
    st.floats(0.001, 0.999),
)
def test_both_sides_are_never_empty_and_validation_is_not_longer_than_asked(
    documents: list[tuple[int, int]], fraction: float
) -> None:
    hashes, sizes = map(list, zip(*documents, strict=True))
    sizes = [1 + hash_ % 1000 for hash_ in hashes]  # equal documents have equal sizes
    chosen = held_out(hashes, sizes, fraction)
    assert 0 < sum(chosen) < len(chosen)
    length = sum(size for size, is_chosen in zip(sizes, chosen, strict=True) if is_chosen)
    groups = {hash_: hashes.count(hash_) * size for hash_, size in zip(hashes, sizes, strict=True)}
    if len(groups) > 1:
        assert length <= max(fraction * sum(sizes), min(groups.values()))
        assert {hash_ for hash_, c in zip(hashes, chosen, strict=True) if c}.isdisjoint(
            hash_ for hash_, c in zip(hashes, chosen, strict=True) if not c
        )


def test_of_many_documents_close_to_the_fraction_is_held_out() -> None:
    generator = np.random.default_rng(0)
    hashes, sizes = generator.integers(0, 2**63, 500), generator.integers(100, 2000, 500)
    chosen = np.array(held_out(hashes.tolist(), sizes.tolist(), 0.1))
    assert 0.099 < sizes[chosen].sum() / sizes.sum() <= 0.1


def test_the_choice_depends_on_the_content_and_not_on_the_order() -> None:
    texts = [f"document number {i}" for i in range(20)]
    train, validation = split(texts, 0.2)
    train_reversed, validation_reversed = split(texts[::-1], 0.2)
    assert validation_reversed == validation[::-1]
    assert train_reversed == train[::-1]
    assert sorted(train + validation) == sorted(texts)


def test_if_all_documents_are_equal_the_last_one_is_held_out() -> None:
    assert held_out([7, 7, 7], [5, 5, 5], 0.1) == [False, False, True]


def test_of_one_document_the_end_is_held_out() -> None:
    assert split(["0123456789"], 0.1) == (["012345678"], ["9"])
    assert split(["0123456789"], 0.25) == (["0123456"], ["789"])


@pytest.mark.parametrize("fraction", [0.0001, 0.9999])
def test_one_short_document_leaves_something_on_both_sides(fraction: float) -> None:
    train, validation = split(["abc"], fraction)
    assert train
    assert validation
    assert "".join(train + validation) == "abc"


def test_a_fraction_of_zero_holds_out_nothing() -> None:
    assert split(["abc", "def"], 0.0) == (["abc", "def"], [])
    assert split(["abc"], 0.0) == (["abc"], [])


def test_one_character_cannot_be_split() -> None:
    with pytest.raises(DataError, match="one character"):
        split(["x"], 0.1)
