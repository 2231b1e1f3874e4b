"""How batches are cut into chunks and dealt out to lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from alpha_tensor.cpu.split import Split, choose_split


@given(st.integers(1, 200), st.integers(1, 2000), st.integers(1, 8), st.sampled_from([64, 256, 1024]))
def test_chunks_cover_the_batch_once(batch: int, tokens: int, lanes: int, chunk: int) -> None:
    split = choose_split([(batch, tokens), (batch,)], lanes, chunk)
    assert split is not None
    assert split.rows * sum(split.chunks) == batch
    assert 1 <= split.lanes <= lanes
    assert max(split.chunks) - min(split.chunks) <= 1
    assert split.rows == 1 or split.rows * tokens <= 2 * chunk


def test_lanes_get_equal_work_where_the_batch_allows() -> None:
    assert choose_split([(16, 256)], 2, 256) == Split(1, (8, 8))
    assert choose_split([(8, 64)], 2, 256) == Split(4, (1, 1))
    assert choose_split([(12, 64)], 2, 256) == Split(3, (2, 2))


def test_inputs_without_a_common_batch_are_not_split() -> None:
    assert choose_split([(4, 8), (5,)], 2, 256) is None
    assert choose_split([()], 2, 256) is None
    assert choose_split([], 2, 256) is None
