"""From logits to a token: each limit by itself, all of them together, and draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.config import SampleConfig
from alpha_train.sampling.distribution import (
    draw,
    keep_min_p,
    keep_top_p,
    largest,
    log_softmax,
    penalize_repetition,
    probabilities,
)

LOGITS = st.lists(st.floats(-30, 30), min_size=1, max_size=12).map(np.array)
DESCENDING = st.lists(st.floats(0.001, 1), min_size=1, max_size=12).map(
    lambda values: np.array(sorted(values, reverse=True)) / sum(values)
)


@given(LOGITS)
def test_log_softmax_is_the_logarithm_of_probabilities(logits: np.ndarray) -> None:
    assert np.exp(log_softmax(logits)).sum() == pytest.approx(1)
    differences = logits - logits[0]
    np.testing.assert_allclose(log_softmax(logits) - log_softmax(logits)[0], differences, atol=1e-12)


def test_log_softmax_takes_rows_and_huge_logits() -> None:
    rows = np.array([[1e4, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(log_softmax(rows), [[0, -1e4], [-math.log(2)] * 2])


@given(
    LOGITS,
    st.integers(0, 12),
    st.floats(0.01, 1.0),
    st.floats(0.0, 1.0),
    st.sampled_from([0.0, 1e-320, 0.5, 1.0, 3.0]),
)
def test_the_distribution_obeys_its_limits(
    logits: np.ndarray, top_k: int, top_p: float, min_p: float, temperature: float
) -> None:
    config = SampleConfig(top_k=top_k, top_p=top_p, min_p=min_p, temperature=temperature)
    result = probabilities(logits, config)
    assert result.sum() == pytest.approx(1)
    assert (result >= 0).all()
    kept = result > 0
    assert kept[int(np.argmax(logits))]
    if top_k:
        assert kept.sum() <= top_k
    if temperature == 0:
        assert kept.sum() == 1
    assert (result[kept] >= min_p * result.max() * (1 - 1e-12)).all()
    if not kept.all():
        assert logits[kept].min() >= logits[~kept].max()


@given(LOGITS, st.sampled_from([0.5, 1.0, 2.0]))
def test_without_limits_it_is_the_softmax_of_scaled_logits(logits: np.ndarray, temperature: float) -> None:
    result = probabilities(logits, SampleConfig(top_k=0, temperature=temperature))
    np.testing.assert_allclose(result, np.exp(log_softmax(logits / temperature)), atol=1e-15)


@given(DESCENDING, st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_that_reach_it(descending: np.ndarray, mass: float) -> None:
    kept = keep_top_p(descending, mass)
    count = kept.size
    assert kept.sum() == pytest.approx(1)
    np.testing.assert_allclose(kept * descending[:count].sum(), descending[:count])
    assert descending[: count - 1].sum() < mass + 1e-12
    assert count == descending.size or descending[:count].sum() >= mass - 1e-12


@given(DESCENDING, st.floats(0, 1))
def test_min_p_keeps_what_is_probable_beside_the_likeliest(descending: np.ndarray, ratio: float) -> None:
    kept = keep_min_p(descending, ratio)
    assert kept.sum() == pytest.approx(1)
    assert kept.size == sum(p >= ratio * descending[0] for p in descending)
    np.testing.assert_allclose(kept / kept[0], descending[: kept.size] / descending[0])


def test_the_limits_by_an_example() -> None:
    logits = np.log(np.array([0.05, 0.5, 0.15, 0.3]))
    plain = {"temperature": 1.0, "top_k": 0}
    for settings, expected in (
        ({"top_k": 2}, [0, 0.625, 0, 0.375]),
        ({"top_p": 0.6}, [0, 0.625, 0, 0.375]),
        ({"top_p": 0.4}, [0, 1, 0, 0]),
        ({"min_p": 0.4}, [0, 0.625, 0, 0.375]),
        ({"min_p": 0.2}, [0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95]),
        ({"top_k": 3, "top_p": 0.9}, [0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95]),
        ({"top_k": 3, "top_p": 0.8}, [0, 0.625, 0, 0.375]),  # 0.8 of what top_k has kept, which is 0.95
        ({"temperature": 0.0}, [0, 1, 0, 0]),
    ):
        np.testing.assert_allclose(probabilities(logits, SampleConfig(**{**plain, **settings})), expected, atol=1e-12)


@given(LOGITS, st.lists(st.integers(0, 11)), st.floats(1, 100))
def test_the_penalty_makes_what_occurred_less_likely_and_nothing_else(
    logits: np.ndarray, tokens: list[int], penalty: float
) -> None:
    tokens = [token for token in tokens if token < logits.size]
    result = penalize_repetition(logits, tokens, penalty)
    for token in range(logits.size):
        if token not in tokens:
            assert result[token] == logits[token]
        elif logits[token] > 0:
            assert result[token] == logits[token] / penalty
        else:
            assert result[token] == logits[token] * penalty
    assert (result <= logits).all()


def test_the_penalty_looks_back_on_its_window() -> None:
    logits = np.array([2.0, 1.5, 1.0])

    def choice(context: list[int], window: int) -> int:
        config = SampleConfig(temperature=0, repetition_penalty=4, repetition_window=window)
        return int(np.argmax(probabilities(logits, config, context)))

    assert [choice([0, 1, 2, 2], window) for window in (1, 2, 3, 4)] == [0, 0, 0, 0]
    assert [choice([0, 1, 1], window) for window in (0, 1, 2, 3, 9)] == [2, 0, 0, 2, 2]
    assert choice([], 0) == 0


def test_draws_follow_the_distribution() -> None:
    distribution = np.array([0.1, 0.6, 0.0, 0.3])
    draws = [draw(distribution, 0, position, 0) for position in range(4000)]
    np.testing.assert_allclose(np.bincount(draws, minlength=4) / 4000, distribution, atol=0.03)
    assert 2 not in draws


@given(LOGITS.filter(lambda logits: logits.size > 1), st.integers(0, 14))
def test_the_largest_come_first_and_equal_ones_by_index(values: np.ndarray, count: int) -> None:
    rounded = np.round(values / 10)
    expected = sorted(range(rounded.size), key=lambda i: (-rounded[i], i))[:count]
    assert list(largest(rounded, count)) == expected
