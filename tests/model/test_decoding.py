"""Decoding with a cache gives what the full forward pass gives, for every option of a model."""

import numpy as np
import numpy.typing as npt
import pytest
from tests.model.options import BLOCK, OPTIONS, VOCABULARY, make_model, make_parameters

from alpha_core.dtype import DType
from alpha_core.errors import ShapeError
from alpha_model import GPT, KeyValueCache
from alpha_tensor import CpuRef

TOKENS = np.random.default_rng(2).integers(0, VOCABULARY, (3, BLOCK)).astype(np.int32)


class Decoding:
    """A model in float64 with a cache of some rows."""

    def __init__(self, model: GPT, rows: int, capacity: int = BLOCK) -> None:
        self.model, self.backend = model, CpuRef()
        self.parameters = {name: self.backend.upload(value) for name, value in make_parameters(model).items()}
        self.cache: KeyValueCache = model.new_cache(self.backend, rows, capacity, DType.f64)

    def full(self, tokens: npt.NDArray[np.int32]) -> np.ndarray:
        """Logits by the full forward pass. (B, T, V)"""
        logits = self.model.logits(self.backend, self.parameters, self.backend.upload(tokens))
        return self.backend.download(logits).reshape(*tokens.shape, -1)

    def place(self, tokens: npt.NDArray[np.int32], rows: list[int]) -> None:
        prefilled = self.model.prefill(self.backend, self.parameters, self.backend.upload(tokens))
        self.cache.place(self.backend, prefilled, self.backend.upload(np.array(rows, np.int32)))

    def decode(self, tokens: npt.NDArray[np.int32], positions: list[int]) -> np.ndarray:
        inputs = (self.backend.upload(np.asarray(part, np.int32)) for part in (tokens, positions))
        return self.backend.download(self.model.decode(self.backend, self.parameters, self.cache, *inputs))


@pytest.mark.parametrize("name", OPTIONS)
def test_decoding_token_by_token_gives_the_logits_of_the_full_forward_pass(name: str) -> None:
    decoding = Decoding(make_model(**OPTIONS[name]), rows=3)
    expected = decoding.full(TOKENS)
    for position in range(BLOCK):
        logits = decoding.decode(TOKENS[:, position], [position] * 3)
        np.testing.assert_allclose(logits, expected[:, position], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_sequence_goes_on_from_its_own_prompt_at_its_own_position(name: str) -> None:
    decoding = Decoding(make_model(**OPTIONS[name]), rows=3)
    expected = decoding.full(TOKENS)
    lengths = [4, 1, 3]
    prompts = np.zeros((3, 4), np.int32)
    for row, length in enumerate(lengths):
        prompts[row, :length] = TOKENS[row, :length]
    decoding.place(prompts, [3, 4, 5])
    for step in range(2):
        positions = [length + step for length in lengths]
        logits = decoding.decode(TOKENS[np.arange(3), positions], positions)
        np.testing.assert_allclose(logits, expected[np.arange(3), positions], rtol=1e-9, atol=1e-11)


def test_rows_are_kept_shared_and_replaced() -> None:
    decoding = Decoding(make_model(position="rotary"), rows=3)
    expected = decoding.full(TOKENS)
    decoding.place(TOKENS[:, :4], [3, 4, 5])
    decoding.place(TOKENS[2:, :2], [1, 3, 2])  # row 0 takes over row 1's, row 1 the new one, row 2 stays
    logits = decoding.decode(np.array([TOKENS[1, 4], TOKENS[2, 2], TOKENS[2, 4]]), [4, 2, 4])
    np.testing.assert_allclose(logits, [expected[1, 4], expected[2, 2], expected[2, 4]], rtol=1e-9)
    decoding.place(TOKENS[:1, :4], [3, 3, 3])  # one prompt for all
    logits = decoding.decode(TOKENS[:1, 4].repeat(3), [4, 4, 4])
    np.testing.assert_allclose(logits, expected[:1, 4].repeat(3, axis=0), rtol=1e-9)


def test_a_token_at_a_filled_position_replaces_what_is_there() -> None:
    decoding = Decoding(make_model(), rows=1)
    expected = decoding.full(TOKENS)
    decoding.place(TOKENS[:1], [1])  # all of it
    for position in (3, 4):  # what stands behind does not matter
        logits = decoding.decode(TOKENS[:1, position], [position])
        np.testing.assert_allclose(logits, expected[:1, position], rtol=1e-9)


def test_a_cache_may_be_smaller_than_the_block_but_not_larger() -> None:
    decoding = Decoding(make_model(), rows=1, capacity=3)
    assert (decoding.cache.rows, decoding.cache.capacity) == (1, 3)
    expected = decoding.full(TOKENS)
    for position in range(3):
        logits = decoding.decode(TOKENS[:1, position], [position])
        np.testing.assert_allclose(logits, expected[:1, position], rtol=1e-9)
    with pytest.raises(ShapeError, match="a cache of 7 tokens is larger than the block size of 6"):
        Decoding(make_model(), rows=1, capacity=BLOCK + 1)
