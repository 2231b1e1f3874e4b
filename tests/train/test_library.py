"""The loop as a library function: objects and an observer, no files."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.train.conftest import TEXT

from alpha_core import Observer
from alpha_core.config import ModelConfig, SampleConfig, TrainConfig
from alpha_model import GPT
from alpha_tensor import CpuRef
from alpha_tokenizers import CharTokenizer
from alpha_train import Trainer, prepare, train
from alpha_train.data import text_source
from alpha_train.optimizers.adamw import AdamW


class Curve(Observer):
    def __init__(self) -> None:
        self.loss: list[float] = []
        self.samples: list[str] = []

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self.loss.append(metrics["loss"])

    def on_samples(self, step: int, samples: Any) -> None:
        self.samples += [sample.output for sample in samples]


def test_a_notebook_trains_with_objects_and_an_observer() -> None:
    tokenizer = CharTokenizer.train([TEXT])
    dataset = prepare(text_source([TEXT]), tokenizer)
    model = GPT(ModelConfig(vocab_size=tokenizer.vocab_size, block_size=16, n_layer=1, n_embd=32, n_head=2))
    config = TrainConfig(iters=120, batch_size=8, lr=1e-2, eval_interval=0, sample_interval=120)
    trainer, curve = Trainer(model, CpuRef(), config, AdamW(config)), Curve()
    result = train(
        trainer,
        dataset,
        config,
        observer=curve,
        schedule=lambda step, config: config.lr,
        sample_config=SampleConfig(steps=10),
        prompts=["line"],
    )
    assert result.step == 120
    assert len(curve.loss) == 120
    assert sum(curve.loss[-10:]) / 10 < 0.6 * curve.loss[0]
    assert len(curve.samples) == 1
    assert result.progress.validation_loss == pytest.approx(curve.loss[-1], abs=0.6)
