"""What a plan warns of."""

import attrs
import pytest

from alpha_core.config import ModelConfig, RunConfig, TrainConfig
from alpha_model.activation import Activation
from alpha_train.optimizers.adamw import AdamW
from alpha_train.plan import Plan, TextFigures, plan
from alpha_train.plan_warnings import plan_warnings

MODEL = ModelConfig(vocab_size=500, block_size=64, n_layer=2, n_embd=64, n_head=4)
TEXT = TextFigures(tokens=2_000_000, validation_tokens=200_000, documents=1000)
FINE = {"batch_size": 32, "iters": 1500}  # 3.1 million tokens, for 170,000 parameters


def make(text: TextFigures | None = TEXT, model: ModelConfig = MODEL, **train: object) -> Plan:
    config = RunConfig(model=model, train=TrainConfig(**{**FINE, **train}))  # type: ignore[arg-type]
    return plan(config, Activation.builtin("gelu"), AdamW(config.train), text=text)


def test_a_sound_plan_has_no_warnings():
    assert plan_warnings(make(), machine_bytes=8 << 30) == []


@pytest.mark.parametrize(
    ("unsound", "words"),
    [
        (make(iters=100), "1.2 tokens per parameter"),
        (make(iters=20_000, text=None), "245 tokens per parameter"),
        (make(warmup=900), "rises for 900 of 1500 steps"),
        (make(attrs.evolve(TEXT, tokens=500_000, documents=100)), "goes through its text 6.1 times"),
        (make(attrs.evolve(TEXT, documents=100_000)), "documents are 20 tokens long on average, `block_size` is 64"),
        (make(model=attrs.evolve(MODEL, vocab_size=40_000), iters=30_000, text=TEXT), "a vocabulary of 40000 is large"),
    ],
)
def test_what_is_unsound_is_named_with_its_figures(unsound: Plan, words: str):
    warnings = plan_warnings(unsound)
    assert [text for text in warnings if words in text], warnings


def test_memory_beyond_the_machine_is_named_with_what_helps():
    (warning,) = plan_warnings(make(), machine_bytes=1 << 20)
    assert "this machine has 1 MiB" in warning
    assert "`activation_checkpointing`" in warning


def test_one_long_document_is_not_too_short():
    assert plan_warnings(make(TextFigures(tokens=2_000_000, documents=1))) == []


def test_a_warmup_that_never_ends_is_left_to_the_note_about_the_configuration():
    assert not [text for text in plan_warnings(make(warmup=5000)) if "rises" in text]
