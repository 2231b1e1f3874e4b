"""200 truncations and 200 bit flips each of a TOML and a JSON config: an error, or a configuration that is valid."""

import json
import random
from pathlib import Path

import pytest

from alpha_core.config import DomainConfig, RunConfig, format_toml, load_config, to_dict
from alpha_core.errors import AlphaError

CASES = 200


def _load(file: Path) -> RunConfig:
    return load_config(domain_config=lambda name: DomainConfig(tokenizer="char"), file=file).config


@pytest.mark.parametrize("suffix", [".toml", ".json"])
@pytest.mark.parametrize("damage", ["truncation", "bit flip"])
def test_a_damaged_config_file_is_refused_in_one_line_or_still_valid(suffix: str, damage: str, tmp_path: Path) -> None:
    config = RunConfig(domain="abc")
    text = format_toml(config, {}) if suffix == ".toml" else json.dumps(to_dict(config), indent=2)
    intact = text.encode()
    file, generator, refused = tmp_path / f"run{suffix}", random.Random(5), 0
    for _ in range(CASES):
        place = generator.randrange(len(intact))
        if damage == "truncation":
            file.write_bytes(intact[:place])
        else:
            flipped = bytearray(intact)
            flipped[place] ^= 1 << generator.randrange(8)
            file.write_bytes(bytes(flipped))
        try:
            loaded = _load(file)
        except AlphaError:
            refused += 1
            continue
        assert json.loads(json.dumps(to_dict(loaded)))  # valid: every constraint was checked when it was made
    assert refused > CASES // 10
