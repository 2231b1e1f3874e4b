"""Profiles: what tuning writes, and training reads."""

from pathlib import Path
from typing import Any

import pytest

from alpha_core.config import DomainConfig, LoadedConfig, Profile, load_config, read_profile, write_profile
from alpha_core.errors import ConfigError

PROFILE = Profile(
    backend="fast",
    device='fast: "2" threads',
    version="0.1.0",
    date="2026-11-21",
    train={"batch_size": 24, "accum_steps": 2, "knobs": ("lanes=2", "chunk=256"), "lr": 1e-3},
)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "profile.toml"
    write_profile(path, PROFILE)
    return path


def load(**sources: Any) -> LoadedConfig:
    return load_config(domain_config=lambda name: DomainConfig(tokenizer="char"), **sources)


def test_a_profile_survives_its_file(profile: Path) -> None:
    read = read_profile(profile)
    assert read.header == PROFILE.header
    assert {**read.train, "knobs": tuple(read.train["knobs"])} == PROFILE.train


def test_a_profile_lies_above_file_and_environment_and_below_flags(profile: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[train]\nbatch_size = 1\niters = 7\n")
    loaded = load(file=file, environ={"ALPHA_LR": "0.5"}, profile=profile, flags={"accum_steps": "3"})
    train = loaded.config.train
    assert (train.batch_size, train.lr, train.accum_steps, train.iters) == (24, 1e-3, 3, 7)
    assert train.knobs == ("lanes=2", "chunk=256")
    assert loaded.sources["batch_size"] == f"profile `{profile}`"
    assert load(profile=profile, flags={"knobs": "lanes=4"}).config.train.knobs == ("lanes=4",)


def test_the_backend_of_a_profile_stands_for_auto(profile: Path) -> None:
    assert load(profile=profile).config.train.backend == "fast"
    assert load(profile=profile, flags={"backend": "auto"}).config.train.backend == "fast"
    assert load(profile=profile, flags={"backend": "fast"}).config.train.backend == "fast"


@pytest.mark.parametrize(
    ("sources", "given"),
    [
        ({"flags": {"backend": "cpu_ref"}}, "`backend` = `cpu_ref` (flag `--backend`)"),
        ({"environ": {"ALPHA_BACKEND": "cpu_ref"}}, "`backend` = `cpu_ref` (environment variable `ALPHA_BACKEND`)"),
    ],
)
def test_a_profile_for_another_backend_is_refused(sources: dict[str, Any], given: str, profile: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(profile=profile, **sources)
    assert f"profile `{profile}` is for backend `fast`, and {given}" in raised.value.message


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("[train]\nlr = 1e-3\n", ["names no backend"]),
        ('[profile]\nbackend = ""\n', ["names no backend"]),
        ('[profile]\nbackend = "fast"\n[train]\nbatchsize = 3\n', ["unknown key `batchsize`", "`batch_size`"]),
        ('[profile]\nbackend = "fast"\n[train]\nbatch_size = 0\nlr = "x"\n', ["`batch_size` = `0`", "`lr` = `x`"]),
        ('[profile]\nbackend = "fast"\n[train]\nknobs = ["lanes"]\n', ["`lanes` sets no knob"]),
        ('[profile]\nbackend = "fast"\n[train]\nn_layer = 3\n', ["belongs in [model]"]),
        ('[profile]\nbackend = "fast"\n[train]\nbackend = "fast"\n', ["belongs in [profile]"]),
        ('[profile]\nbackend = "fast"\ndevise = "x"\n', ["unknown key `devise` in [profile]", "`device`"]),
        ('[profile]\nbackend = "fast"\ndate = 2026-11-21\n', ["`date` in [profile]", "expected text"]),
        ('[profile]\nbackend = "fast"\n[model]\nn_layer = 3\n', ["unknown section [model]"]),
        ("profile = 3\n", ["[profile] = `3`", "expected a table"]),
        ("[profile\n", ["is no valid TOML"]),
    ],
)
def test_everything_that_is_wrong_with_a_profile_is_told(text: str, messages: list[str], tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_profile(path)
    for message in messages:
        assert message in raised.value.message


def test_a_profile_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_profile(tmp_path / "nowhere" / "profile.toml", PROFILE)
