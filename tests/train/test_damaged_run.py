"""200 truncations and 200 bit flips of a run's `tokenizer.json`: an error, or the very same tokenizer."""

import random
from collections.abc import Callable

import pytest

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.errors import AlphaError
from alpha_train import load_run, start_run


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
@pytest.mark.parametrize("damage", ["truncation", "bit flip"])
def test_a_damaged_tokenizer_is_refused_or_the_same(
    tokenizer: str, damage: str, make_config: Callable[..., RunConfig], plugins: Plugins
) -> None:
    folder = start_run(make_config(tokenizer=tokenizer, iters=1, eval_interval=0), plugins).folder
    file, artifacts = folder.path / "tokenizer.json", folder.read_tokenizer()
    intact, generator, refused = file.read_bytes(), random.Random(3), 0
    for _ in range(200):
        place = generator.randrange(len(intact))
        if damage == "truncation":
            file.write_bytes(intact[:place])
        else:
            flipped = bytearray(intact)
            flipped[place] ^= 1 << generator.randrange(8)
            file.write_bytes(bytes(flipped))
        try:
            loaded = load_run(folder, plugins)
        except AlphaError:
            refused += 1
            continue
        assert loaded.tokenizer.to_artifacts() == artifacts
    assert refused > 50
