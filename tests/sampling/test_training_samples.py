"""Samples during training: all prompts together, with the run's settings, and never the end of a run."""

from collections.abc import Sequence
from typing import Any

from tests.sampling.helpers import TEXT

from alpha_core import Observer
from alpha_core.config import ModelConfig, SampleConfig, TrainConfig
from alpha_core.observer import Event, Sample
from alpha_model import GPT
from alpha_tensor import CpuRef
from alpha_tokenizers import CharTokenizer
from alpha_train import Sampler, Trainer, prepare, train
from alpha_train.data import text_source
from alpha_train.optimizers.adamw import AdamW


class Watcher(Observer):
    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.events: list[Event] = []

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        self.samples += samples

    def on_event(self, event: Event) -> None:
        self.events.append(event)


def trained(tokenizer: CharTokenizer, prompts: Sequence[str], sampling: SampleConfig) -> tuple[Any, Trainer, Watcher]:
    model = GPT(ModelConfig(vocab_size=tokenizer.vocab_size, block_size=8, n_layer=1, n_embd=8, n_head=2))
    config = TrainConfig(iters=2, batch_size=2, eval_interval=0, eval_iters=1, sample_interval=2)
    trainer, watcher = Trainer(model, CpuRef(), config, AdamW(config)), Watcher()
    dataset = prepare(text_source([TEXT]), tokenizer)
    result = train(trainer, dataset, config, observer=watcher, sample_config=sampling, prompts=prompts)
    return result, trainer, watcher


def test_samples_in_training_are_those_of_a_sampler() -> None:
    tokenizer = CharTokenizer.train([TEXT])
    config = SampleConfig(steps=9, num_samples=2, stop=("e",), repetition_penalty=1.5, min_p=0.01)
    _, trainer, watcher = trained(tokenizer, ["to", "question"], config)
    expected = Sampler(trainer.model, trainer.backend, trainer.parameters, tokenizer).complete(
        ["to", "question"], config
    )
    assert [(sample.prompt, sample.output) for sample in watcher.samples] == [(c.prompt, c.text) for c in expected]
    assert len(expected) == 4
    _, trainer, watcher = trained(tokenizer, ["to"], SampleConfig(steps=5, beam=3))
    (expected_beam,) = Sampler(trainer.model, trainer.backend, trainer.parameters, tokenizer).complete(
        ["to"], SampleConfig(steps=5, beam=3)
    )
    assert [sample.output for sample in watcher.samples] == [expected_beam.text]


def test_samples_that_cannot_be_written_are_reported_and_training_goes_on() -> None:
    class Bare(CharTokenizer):
        specials = {}  # type: ignore[assignment]  # noqa: RUF012

    result, _, watcher = trained(Bare.train([TEXT]), [""], SampleConfig())
    assert result.status == "completed"
    assert watcher.samples == []
    (event,) = (event for event in watcher.events if event.kind == "sample_generation_failed")
    assert event.level == "warning"
    assert "an empty prompt needs a tokenizer with an end-of-text token" in event.message
