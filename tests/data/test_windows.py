"""Windows: pure functions of (seed, step), complete where they promise to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.errors import DataError
from alpha_train.data import IGNORED, Batch, PackedWindows, RandomWindows, evaluation_batches

TOKENS = np.arange(1000, dtype=np.uint16)
KINDS = [RandomWindows, PackedWindows]


def make(kind: type[RandomWindows] | type[PackedWindows], **changes: int) -> RandomWindows | PackedWindows:
    return kind(TOKENS, **{"block_size": 8, "batch_size": 4, "accum_steps": 1, "seed": 7, **changes})


def starts_of(batch: Batch) -> list[int]:
    return [int(start) for start in batch.tokens[:, 0]]


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_the_tokens_moved_by_one(kind: type[RandomWindows]) -> None:
    batch = make(kind).batch(3)
    assert batch.tokens.dtype == batch.targets.dtype == batch.rows.dtype == np.int32
    assert batch.tokens.shape == batch.targets.shape == (4, 8)
    np.testing.assert_array_equal(batch.tokens, batch.tokens[:, :1] + np.arange(8))
    np.testing.assert_array_equal(batch.targets, batch.tokens + 1)
    assert batch.target_count == 32
    assert batch.tokens.flags.c_contiguous
    assert batch.targets.flags.c_contiguous


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_depends_on_seed_and_step_alone(kind: type[RandomWindows]) -> None:
    windows = make(kind)
    later = [starts_of(windows.batch(step)) for step in range(50)]
    assert starts_of(make(kind).batch(37)) == later[37]
    assert len({tuple(starts) for starts in later}) == 50
    assert starts_of(make(kind, seed=8).batch(37)) != later[37]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_the_same_however_it_is_divided(kind: type[RandomWindows]) -> None:
    whole = make(kind, batch_size=12).batch(5)
    parts = [make(kind, batch_size=4, accum_steps=3).batch(5, micro_step) for micro_step in range(3)]
    np.testing.assert_array_equal(np.concatenate([part.tokens for part in parts]), whole.tokens)
    assert np.concatenate([part.rows for part in parts]).tolist() == whole.rows.tolist() == list(range(12))


def test_random_windows_start_at_every_place_there_is() -> None:
    tokens = np.arange(12, dtype=np.uint16)
    windows = RandomWindows(tokens, block_size=8, batch_size=50, seed=1)
    assert set(starts_of(windows.batch(0))) == {0, 1, 2, 3}
    assert windows.batch(0).targets.max() == 11


@given(st.integers(9, 300), st.integers(1, 8), st.integers(1, 7), st.integers(1, 3), st.integers(0, 2**63))
def test_packed_windows_use_each_window_once_before_any_again(
    count: int, block_size: int, batch_size: int, accum_steps: int, seed: int
) -> None:
    tokens = np.arange(count, dtype=np.uint16)
    windows = PackedWindows(tokens, block_size=block_size, batch_size=batch_size, accum_steps=accum_steps, seed=seed)
    epoch = windows.windows_per_epoch
    drawn = [
        start
        for step in range(2 * epoch // (batch_size * accum_steps) + 1)
        for micro_step in range(accum_steps)
        for start in starts_of(windows.batch(step, micro_step))
    ]
    expected = list(range(0, count - block_size, block_size))
    assert sorted(drawn[:epoch]) == sorted(drawn[epoch : 2 * epoch]) == expected


def test_packed_windows_are_shuffled_anew_for_every_pass() -> None:
    windows = make(PackedWindows, batch_size=124)
    first, second = (starts_of(windows.batch(step)) for step in range(2))
    assert first != second
    assert sorted(first) == sorted(second) != first


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_tokens_for_a_window_are_refused(kind: type[RandomWindows]) -> None:
    kind(TOKENS[:9], block_size=8, batch_size=1, seed=0).batch(0)
    with pytest.raises(DataError, match=r"has 8 tokens, and one window needs 9"):
        kind(TOKENS[:8], block_size=8, batch_size=1, seed=0)


def evaluate(tokens: np.ndarray, limit: int, block_size: int = 8, batch_size: int = 4) -> list[Batch]:
    return list(evaluation_batches(tokens, block_size=block_size, batch_size=batch_size, limit=limit))


@given(st.integers(2, 200), st.integers(1, 20), st.integers(1, 9))
def test_the_whole_split_has_every_token_as_a_target_once(count: int, block_size: int, batch_size: int) -> None:
    batches = evaluate(np.arange(count, dtype=np.uint16), 0, block_size, batch_size)
    targets = np.concatenate([batch.targets.ravel() for batch in batches])
    inputs = np.concatenate([batch.tokens.ravel() for batch in batches])
    counted = targets != IGNORED
    assert targets[counted].tolist() == list(range(1, count))
    np.testing.assert_array_equal(inputs[counted] + 1, targets[counted])
    assert {batch.tokens.shape for batch in batches} == {(batch_size, block_size)}
    assert all(batch.target_count > 0 for batch in batches)
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(len(batches) * batch_size))


def test_a_limit_takes_whole_windows_spread_over_the_split() -> None:
    batches = evaluate(TOKENS, 5)
    starts = [start for batch in batches for start in starts_of(batch)]
    assert len(batches) == 5
    assert all(batch.target_count == 32 for batch in batches)
    gaps = np.diff(starts)
    assert starts[0] == 0
    assert gaps.min() >= 48
    assert gaps.max() <= 56
    assert starts[-1] >= 1000 - 56 - 8


def test_a_limit_beyond_the_split_takes_the_whole_split() -> None:
    assert sum(batch.target_count for batch in evaluate(TOKENS, 1000)) == 999


def test_a_split_shorter_than_a_window_is_evaluated() -> None:
    (batch,) = evaluate(TOKENS[:3], 10)
    assert batch.target_count == 2


@pytest.mark.parametrize("count", [0, 1])
def test_a_split_without_a_target_is_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"has {count} tokens"):
        evaluate(TOKENS[:count], 0)


MASK = (np.arange(1000) % 3 == 0).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_do_not_count_are_inputs_but_no_targets(kind: type[RandomWindows]) -> None:
    settings = {"block_size": 8, "batch_size": 4, "seed": 7}
    plain = kind(TOKENS, **settings).batch(3)  # type: ignore[arg-type]
    masked = kind(TOKENS, mask=MASK, **settings).batch(3)  # type: ignore[arg-type]
    np.testing.assert_array_equal(masked.tokens, plain.tokens)
    np.testing.assert_array_equal(masked.targets, np.where(plain.targets % 3 == 0, plain.targets, IGNORED))
    assert masked.target_count == int((plain.targets % 3 == 0).sum())


@pytest.mark.parametrize("limit", [0, 5])
def test_evaluation_counts_only_what_counts(limit: int) -> None:
    settings = {"block_size": 8, "batch_size": 4, "limit": limit}
    plain = list(evaluation_batches(TOKENS, **settings))
    masked = list(evaluation_batches(TOKENS, mask=MASK, **settings))
    assert len(masked) == len(plain)
    for one, other in zip(masked, plain, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.targets, np.where(other.targets % 3 == 0, other.targets, IGNORED))
    if limit == 0:
        assert sum(batch.target_count for batch in masked) == MASK[1:].sum()
