"""Any configuration survives every way of writing it down."""

import json
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.config import (
    SECTIONS,
    ModelConfig,
    RunConfig,
    SampleConfig,
    TrainConfig,
    config_hash,
    format_toml,
    from_dict,
    load_config,
    settings_of,
    to_dict,
)
from alpha_core.config.setting import Setting
from alpha_core.errors import ConfigError
from alpha_core.knob import knob_texts

NAMES = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters=","), min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12)
KNOBS = st.dictionaries(st.from_regex(r"\A[a-z_]{1,8}\Z"), st.integers(0, 2**40), max_size=3)
TAGS = st.from_regex(r"\A([A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z")


def values(setting: Setting) -> st.SearchStrategy[object]:
    if setting.key == "tag":
        return TAGS
    if setting.key == "knobs":
        return KNOBS.map(lambda values: knob_texts(values.items()))
    if setting.choices is not None:
        return st.sampled_from(setting.choices)
    if setting.type is bool:
        return st.booleans()
    if setting.type is str:
        return TEXTS
    if setting.type is int:
        largest = int(setting.maximum) if setting.maximum is not None else 2**63 - 1
        return st.integers(int(setting.minimum) if setting.minimum is not None else -(2**63), largest)
    if setting.type is float:
        low = next((limit for limit in (setting.minimum, setting.above) if limit is not None), None)
        high = next((limit for limit in (setting.maximum, setting.below) if limit is not None), None)
        return st.floats(
            low,
            high,
            exclude_min=setting.above is not None,
            exclude_max=setting.below is not None,
            allow_nan=False,
            allow_infinity=False,
        )
    if setting.texts:
        return st.lists(TEXTS, max_size=3).map(tuple)
    return st.lists(NAMES, unique=True, max_size=3).map(tuple)


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    fields = {c: {s.key: draw(values(s)) for s in settings_of(c)} for c in SECTIONS}
    heads, half = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    fields[ModelConfig] |= {"n_head": heads, "n_embd": 2 * half * heads}
    train = fields[TrainConfig]
    train["lr_min"], train["lr"] = sorted((train["lr_min"], train["lr"]))
    if train["fp16"]:
        train["precision"] = "f16"
    fields[SampleConfig]["beam"] = 1  # with more, the flags of draws are refused
    return RunConfig(
        model=ModelConfig(**fields[ModelConfig]),
        train=TrainConfig(**train),
        sample=SampleConfig(**fields[SampleConfig]),
    )


def texts(config: RunConfig) -> dict[Setting, str]:
    sections = (config.model, config.train, config.sample)
    return {s: s.text(getattr(section, s.key)) for section in sections for s in settings_of(type(section))}


def no_domain(name: str):
    raise AssertionError(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("config")


@given(config=configs())
def test_a_configuration_survives_toml_and_json_files(config, folder):
    (folder / "config.toml").write_text(format_toml(config, {"lr": "file `\n`"}), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(to_dict(config)), encoding="utf-8")
    assert load_config(domain_config=no_domain, file=folder / "config.toml").config == config
    assert load_config(domain_config=no_domain, file=folder / "config.json").config == config


@given(config=configs())
def test_a_configuration_survives_the_environment_and_flags(config):
    environ = {setting.env: text for setting, text in texts(config).items()}
    flags = {setting.key: text for setting, text in texts(config).items()}
    assert load_config(domain_config=no_domain, environ=environ).config == config
    assert load_config(domain_config=no_domain, flags=flags).config == config


@given(config=configs())
def test_a_configuration_survives_its_dictionary_and_keeps_its_hash(config):
    stored = json.loads(json.dumps(to_dict(config)))
    assert stored == to_dict(config)
    assert from_dict(stored) == config
    assert config_hash(from_dict(stored)) == config_hash(config)


def test_the_hash_is_of_the_values_and_of_nothing_else():
    config = RunConfig()
    assert config_hash(config) == config_hash(RunConfig(train=TrainConfig(lr_min=0)))
    assert config_hash(config) != config_hash(attrs.evolve(config, domain="python"))
    assert config_hash(config) != config_hash(RunConfig(train=TrainConfig(seed=43)))
    assert len(config_hash(config)) == 16
    assert int(config_hash(config), 16) >= 0


def test_a_setting_that_an_older_version_did_not_store_takes_its_default():
    stored = to_dict(RunConfig(model=ModelConfig(n_layer=3)))
    del stored["model"]["soft_cap"], stored["sample"]
    assert from_dict(stored) == RunConfig(model=ModelConfig(n_layer=3))


def test_a_key_of_a_newer_version_is_refused_with_a_word_about_versions():
    stored = to_dict(RunConfig())
    stored["model"]["n_expert"] = 8
    stored["train"]["lr"] = -1
    with pytest.raises(ConfigError) as error:
        from_dict(stored, source="`config.json` of the run")
    assert error.value.hint == "it may have been written by a newer version of Alpha"
    assert len(error.value.problems) == 2
    assert "unknown key `n_expert` in [model] (`config.json` of the run)" in error.value.problems[0]
