"""A trained model that a new run starts from: its settings, and how its weights reach the new one."""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_core.observer import Event
from alpha_core.plugins import Plugins
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT
from alpha_model.morph import RestoreReport, check_restore, child_config, restore
from alpha_train.run_folder import RunFolder
from alpha_train.stored_model import BEST, StoredModel, read_model
from alpha_train.trainer import Trainer

__all__ = ["Parent", "shared_tokens"]

Ids = npt.NDArray[np.int64]


@attrs.frozen(kw_only=True, eq=False)
class Parent:
    """A checkpoint of a run, and the way in which a new run takes it over: one of `alpha_model.morph.RESTORE_MODES`."""

    stored: StoredModel
    """Without tensors: they are read when they are given on, and not kept while the new run trains."""
    mode: str
    plugins: Plugins

    @classmethod
    def read(cls, folder: RunFolder, plugins: Plugins, *, mode: str = "exact", checkpoint: str = BEST) -> "Parent":
        """Reads a checkpoint as `alpha_train.stored_model.read_model` does. Raises `UsageError` for an unknown mode."""
        stored = read_model(folder, plugins, checkpoint, tensors=False)
        child_config(mode, stored.model.config, stored.model.config)
        return cls(stored=stored, mode=mode, plugins=plugins)

    @property
    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """What a new run has in common with its parent unless someone says otherwise: model and tokenizer."""
        tokenizer = {"tokenizer": str(self.stored.folder.path / "tokenizer.json")}
        return {"model": attrs.asdict(self.stored.model.config), "train": tokenizer}

    def child_config(self, config: ModelConfig) -> ModelConfig:
        """Returns the model of the new run: `config`, with what has to follow from the parent's."""
        return child_config(self.mode, self.stored.model.config, config)

    def check(self, child: GPT) -> None:
        """Raises `UsageError` if the new model does not fit, whatever its tokenizer."""
        same_vocabulary = attrs.evolve(child.config, vocab_size=self.stored.model.config.vocab_size)
        check_restore(self.mode, self.stored.model, GPT(same_vocabulary, child.activation))

    def give(self, trainer: Trainer, tokenizer: Tokenizer, optimizer: str) -> Event:
        """Sets a new run's parameters, and the state of its optimizer where that is of use; returns what it did.

        The state is the parent's if the model is exactly the same and so is the `optimizer`; else it starts anew.
        Raises `UsageError` if the new model does not fit, and `CheckpointError` if the parent's file is damaged, before
        anything is changed.
        """
        checkpoint = read_model(self.stored.folder, self.plugins, str(self.stored.checkpoint.step)).checkpoint
        restored = restore(
            self.mode,
            self.stored.model,
            checkpoint.parameters,
            trainer.model,
            seed=trainer.config.seed,
            rows=shared_tokens(self.stored.tokenizer, tokenizer),
        )
        reason = self._reset_reason(checkpoint.optimizer_state, trainer, optimizer)
        if reason is None:
            earlier = checkpoint.step + int(checkpoint.extra.get("earlier_steps", 0))
            trainer.restore(restored.parameters, checkpoint.optimizer_state, step=0, earlier_steps=earlier)
        else:
            trainer.set_parameters(restored.parameters)
        return self._event(restored.report, reason)

    def _reset_reason(
        self, state: Mapping[str, Mapping[str, npt.NDArray[Any]]], trainer: Trainer, optimizer: str
    ) -> str | None:
        """Returns why the optimizer's state starts anew, or None if it is the parent's."""
        if self.mode != "exact":
            return "the model is another one"
        if not state:
            return "the parent has none"
        before = (self.stored.checkpoint.train_config or {}).get("optimizer")
        shapes = {name: {slot: tensor.shape for slot, tensor in slots.items()} for name, slots in trainer.state.items()}
        there = {name: {slot: array.shape for slot, array in slots.items()} for name, slots in state.items()}
        if before != optimizer or there != {name: slots for name, slots in shapes.items() if slots}:
            return f"the parent's is that of `{before}`"
        return None

    def _event(self, report: RestoreReport, reason: str | None) -> Event:
        run, step = self.stored.folder.run_id, self.stored.checkpoint.step
        optimizer = "the parent's" if reason is None else f"new, for {reason}"
        lines = [f"weights of run `{run}`, step {step} ({self.mode})", *report.lines(), f"optimizer state: {optimizer}"]
        return Event(
            kind="weights_restored",
            message="; ".join(lines),
            step=0,
            payload={"parent": run, "parentStep": step, "optimizerState": optimizer, **report.to_json()},
        )


def shared_tokens(old: Tokenizer, new: Tokenizer) -> tuple[Ids, Ids] | None:
    """Returns the ids of the tokens that two tokenizers share, (N,) each; None if they are one tokenizer.

    Tokens of tokenizers of one type are compared as their vocabularies list them, others by what they decode to.
    """
    before, after = old.to_artifacts(), new.to_artifacts()
    if before == after:
        return None
    listed = old.type == new.type and all(isinstance(a.get("vocab"), list) for a in (before, after))
    there = _ids_by_token(before["vocab"] if listed else [old.decode([i]) for i in range(old.vocab_size)])
    here = _ids_by_token(after["vocab"] if listed else [new.decode([i]) for i in range(new.vocab_size)])
    both = [token for token in there if token in here]
    return np.array([there[t] for t in both], np.int64), np.array([here[t] for t in both], np.int64)


def _ids_by_token(tokens: list[str | None]) -> dict[str, int]:
    """Returns the id of each token that has one text; U+FFFD stands for parts of characters, which are many."""
    found: dict[str, int] = {}
    twice: set[str] = set()
    for token_id, token in enumerate(tokens):
        if token:
            (twice.add(token) if token in found else found.setdefault(token, token_id))
    return {token: token_id for token, token_id in found.items() if token not in twice and token != "\ufffd"}
