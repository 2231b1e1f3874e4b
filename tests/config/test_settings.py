"""Settings as the command line and the documentation see them."""

import subprocess
import sys
from collections import Counter

import pytest

from alpha_core.config import SECTIONS, ModelConfig, RunConfig, SampleConfig, TrainConfig, settings_of
from alpha_core.config.setting import Setting

ALL = [setting for config in SECTIONS for setting in settings_of(config)]


def of(key: str) -> Setting:
    return next(setting for setting in ALL if setting.key == key)


def test_no_two_settings_share_a_key_an_alias_or_any_other_spelling():
    names = Counter(spelling for setting in ALL for spelling in setting.spellings)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_settings_share_a_flag_or_an_environment_variable():
    flags = [flag for setting in ALL for flag in (setting.flag, *setting.alias_flags)]
    assert len(set(flags)) == len(flags)
    assert len({setting.env for setting in ALL}) == len(ALL)


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.key)
def test_a_setting_has_a_meaning_and_an_allowed_default_of_its_type(setting):
    assert setting.help.endswith(".")
    assert setting.problem(setting.default) is None
    assert type(setting.default) is (tuple if setting.type == tuple[str, ...] else setting.type)


def test_a_setting_knows_its_names():
    layers = of("n_layer")
    assert (layers.section, layers.flag, layers.env) == ("model", "--n-layer", "ALPHA_N_LAYER")
    assert layers.aliases == ("layers",)
    assert layers.alias_flags == ("--layers",)
    assert set(of("eval_interval").spellings) == {"eval_interval", "eval-interval", "evalInterval"}


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("n_layer", "an integer, 1 or more"),
        ("warmup", "an integer"),
        ("dropout", "a number, 0 or more and below 1"),
        ("top_p", "a number, 1 or less and above 0"),
        ("norm", "one of `layer`, `rms`"),
        ("packed", "`true` or `false`"),
        ("data", "text that is not empty"),
        ("tag", "text"),
        ("sinks", "different names, separated by commas"),
    ],
)
def test_what_is_allowed_is_said_in_words(key, allowed):
    assert of(key).allowed == allowed


def test_the_defaults_are_those_of_the_reference():
    model, train, sample = ModelConfig(), TrainConfig(), SampleConfig()
    assert (model.vocab_size, model.block_size, model.n_layer, model.n_embd, model.n_head) == (256, 256, 6, 256, 8)
    assert (model.dropout, model.activation, model.norm_eps) == (0.0, "gelu", 1e-5)
    assert (train.iters, train.batch_size, train.lr, train.lr_min, train.warmup) == (1000, 64, 3e-4, 0.0, 0)
    assert (train.beta1, train.beta2, train.eps, train.weight_decay, train.grad_clip) == (0.9, 0.95, 1e-8, 0.1, 1.0)
    assert (train.eval_interval, train.eval_iters, train.seed, train.sample_interval) == (100, 10, 42, 100)
    assert (train.tokenizer, train.optimizer, train.accum_steps, train.spike_threshold) == ("bpe", "adamw", 1, 0.0)
    assert (sample.steps, sample.temperature, sample.top_k, sample.top_p) == (200, 0.8, 40, 1.0)
    assert RunConfig() == RunConfig(domain=None, model=model, train=train, sample=sample)


def test_listing_settings_imports_nothing_heavy():
    code = (
        "import sys; from alpha_core.config import SECTIONS, settings_of; [settings_of(c) for c in SECTIONS];"
        "print({'numpy', 'cattrs', 'tomllib', 'rich', 'typer'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
