"""Config classes made directly, as a notebook makes them."""

import math

import attrs
import pytest

from alpha_core.config import DomainConfig, ModelConfig, SampleConfig, TrainConfig
from alpha_core.errors import ConfigError


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: ModelConfig(n_layer=0), "`n_layer` = `0`: expected an integer, 1 or more"),
        (lambda: ModelConfig(n_layer="4"), "`n_layer` = `4`: expected an integer, 1 or more"),
        (lambda: ModelConfig(n_layer=True), "`n_layer` = `true`: expected an integer, 1 or more"),
        (lambda: ModelConfig(n_layer=4.0), "`n_layer` = `4.0`: expected an integer, 1 or more"),
        (lambda: ModelConfig(dropout=1), "`dropout` = `1.0`: expected a number, 0 or more and below 1"),
        (lambda: ModelConfig(norm="rsm"), "`norm` = `rsm`: expected one of `layer`, `rms`; did you mean `rms`?"),
        (lambda: ModelConfig(qk_norm=1), "`qk_norm` = `1`: expected `true` or `false`"),
        (lambda: ModelConfig(n_head=3), "`n_embd` = `256` must be a multiple of `n_head` = `3`"),
        (
            lambda: ModelConfig(n_embd=24, n_head=8, position="rotary"),
            "`position` = `rotary` needs heads of even width, but `n_embd` = `24` over `n_head` = `8` makes them odd",
        ),
        (lambda: TrainConfig(lr=math.nan), "`lr` = `nan`: expected a number, above 0"),
        (lambda: TrainConfig(lr=math.inf), "`lr` = `inf`: expected a number, above 0"),
        (lambda: TrainConfig(lr=1e-4, lr_min=1e-3), "`lr_min` = `0.001` must not be above `lr` = `0.0001`"),
        (lambda: TrainConfig(data=""), "`data` = ``: expected text that is not empty"),
        (lambda: TrainConfig(data="a\0b"), r"`data` = `'a\x00b'`: expected text that is not empty"),
        (lambda: TrainConfig(sinks=("a", "a")), "`sinks` = `a,a`: expected different names, separated by commas"),
        (lambda: TrainConfig(sinks=("a,b",)), "`sinks` = `a,b`: expected different names, separated by commas"),
        (
            lambda: TrainConfig(tag="../x"),
            "`tag` = `../x`: expected up to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit",
        ),
        (lambda: SampleConfig(top_p=0), "`top_p` = `0.0`: expected a number, 1 or less and above 0"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(make, problem):
    with pytest.raises(ConfigError) as error:
        make()
    assert error.value.problems == (problem,)


def test_all_problems_are_reported_at_once_contradictions_included():
    with pytest.raises(ConfigError) as error:
        ModelConfig(n_layer=-1, dropout=2, n_head=3, norm="none")
    assert [problem.split("`")[1] for problem in error.value.problems] == ["n_layer", "dropout", "norm", "n_embd"]
    assert all(problem in str(error.value) for problem in error.value.problems)


def test_a_rule_between_settings_is_not_reported_when_one_of_them_is_broken_already():
    with pytest.raises(ConfigError) as error:
        ModelConfig(n_head=0)
    assert len(error.value.problems) == 1


def test_an_evolved_config_is_checked_again():
    with pytest.raises(ConfigError):
        attrs.evolve(ModelConfig(), n_head=7)


def test_an_integer_for_a_float_and_a_list_for_names_are_converted():
    config = TrainConfig(lr=1, sinks=["jsonl"])
    assert type(config.lr) is float
    assert config.sinks == ("jsonl",)


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(ConfigError):
        TrainConfig(lr=10**400)


@pytest.mark.parametrize(
    ("given", "iters", "resolved"), [(0, 1000, 200), (0, 100_000, 2000), (7, 1000, 7), (-1, 1000, 0), (0, 3, 0)]
)
def test_warmup_zero_means_a_fifth_of_the_steps_and_negative_means_none(given, iters, resolved):
    assert TrainConfig(warmup=given, iters=iters).resolved_warmup == resolved


def test_lr_min_zero_means_a_tenth_of_lr():
    assert TrainConfig(lr=0.5).resolved_lr_min == 0.05
    assert TrainConfig(lr=0.5, lr_min=0.2).resolved_lr_min == 0.2


def test_checkpoint_interval_zero_means_at_evaluations():
    assert TrainConfig(eval_interval=30).resolved_checkpoint_interval == 30
    assert TrainConfig(eval_interval=30, checkpoint_interval=7).resolved_checkpoint_interval == 7


@pytest.mark.parametrize(("width", "plain", "gated"), [(256, 1024, 704), (64, 256, 192), (8, 32, 64), (24, 96, 64)])
def test_the_mlp_is_as_wide_as_the_reference_says(width, plain, gated):
    config = ModelConfig(n_embd=width, n_head=8)
    assert config.resolved_ffn_width(gated=False) == plain
    assert config.resolved_ffn_width(gated=True) == gated
    assert ModelConfig(ffn_width=100).resolved_ffn_width(gated=True) == 100


def test_a_domain_reports_every_key_and_value_that_does_not_fit():
    with pytest.raises(ConfigError) as error:
        DomainConfig(tokenizer="", model={"n_layers": 4, "n_head": 3}, train={"lr": -1, "tokenizer": "bpe"})
    text = str(error.value)
    assert len(error.value.problems) == 4
    assert "`n_layers` is no setting of [model]; did you mean `n_layer`?" in text
    assert "a multiple of `n_head` = `3`" in text
    assert "`lr` = `-1.0`" in text
    assert "names its tokenizer beside `train`" in text
