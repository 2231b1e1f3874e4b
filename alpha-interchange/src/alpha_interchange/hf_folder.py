"""A model as `transformers` keeps it: a folder with `config.json`, `model.safetensors`, and the tokenizer's files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.errors import CheckpointError, UsageError
from alpha_interchange.architectures import ARCHITECTURES, Architecture
from alpha_interchange.fields import Fields
from alpha_interchange.foreign import ImportedModel, checked_parameters, new_model
from alpha_interchange.hf_tokenizer import padded, read_tokenizer, tokenizer_config_json, tokenizer_json
from alpha_interchange.safetensors_file import SafetensorsFile, open_safetensors, write_safetensors
from alpha_model import GPT, Activation
from alpha_train.json_file import read_json, write_json
from alpha_train.stored_model import StoredModel

__all__ = ["architecture_of", "read_hf", "write_hf"]

_CONFIG, _WEIGHTS, _INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_GENERATION, _TOKENIZER, _TOKENIZER_CONFIG = "generation_config.json", "tokenizer.json", "tokenizer_config.json"
_PICKLE = "pytorch_model.bin"
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""Endings of tensors that older files hold and that are no weights."""


def architecture_of(model: GPT, formats: Sequence[str] = tuple(ARCHITECTURES)) -> Architecture:
    """Returns the architecture that a model is. Raises `UsageError` if it is none, naming the options in the way."""
    problems = {name: ARCHITECTURES[name].problems(model) for name in formats}
    for name, found in problems.items():
        if not found:
            return ARCHITECTURES[name]
    reasons = "; ".join(f"`{name}` has no place for {', '.join(found)}" for name, found in problems.items())
    raise UsageError(f"the model is of no architecture that can be written: {reasons}")


def write_hf(folder: Path, stored: StoredModel) -> list[str]:
    """Writes a model that `transformers` loads, and returns what a person should know.

    Raises `UsageError` if there is no architecture for it, and `CheckpointError` for a file that cannot be written.
    """
    model, tokenizer = stored.model, stored.tokenizer
    architecture = architecture_of(model)
    end = tokenizer.end_of_text
    ids = {"bos_token_id": end, "eos_token_id": end}
    sample = stored.config.sample
    generation = {
        **ids,
        "do_sample": sample.temperature > 0,
        **({"temperature": sample.temperature} if sample.temperature > 0 else {}),
        **({"top_k": sample.top_k, "top_p": sample.top_p} if sample.temperature > 0 else {}),
        "max_new_tokens": sample.steps,
    }
    contents: dict[str, Mapping[str, Any]] = {
        _GENERATION: generation,
        _CONFIG: {**architecture.config_json(model), **ids, "dtype": "float32"},
    }
    notes = []
    theirs = tokenizer_json(tokenizer)
    if isinstance(theirs, str):
        notes.append(f"without a tokenizer: {theirs}")
    else:
        contents = {
            _TOKENIZER: theirs,
            _TOKENIZER_CONFIG: tokenizer_config_json(tokenizer, model.config.block_size),
            **contents,
        }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"the folder `{folder}` cannot be made: {error.strerror}") from error
    write_safetensors(
        folder / _WEIGHTS, dict(architecture.tensors(model, stored.checkpoint.parameters)), {"format": "pt"}
    )
    for name, content in contents.items():
        write_json(folder / name, content, CheckpointError)
    return notes


def read_hf(folder: Path, tokenizer: Mapping[str, Any] | None = None) -> ImportedModel:
    """Reads a model of `transformers`. `tokenizer`, artifacts of Alpha, takes the place of the folder's.

    Raises `CheckpointError` for files that are missing or damaged, and for what has no counterpart in Alpha.
    """
    source = f"`{folder / _CONFIG}`"
    fields = Fields(source, read_json(folder / _CONFIG, CheckpointError))
    model_type = fields.text("model_type")
    architecture = ARCHITECTURES.get(model_type)
    if architecture is None:
        known = ", ".join(f"`{name}`" for name in ARCHITECTURES)
        raise CheckpointError(f"{source}: `model_type` `{model_type!s:.80}` cannot be imported; {known} can")
    foreign = architecture.read_config(fields)
    weights = _Weights.open(folder)
    model = new_model(foreign.config, Activation.builtin(foreign.config.activation), len(weights.files), source)
    parameters = checked_parameters(model, architecture.parameters(model, weights.read, fields), f"`{folder}`")
    weights.check_all_used(model)
    artifacts = (
        read_tokenizer(folder, model.config.vocab_size)
        if tokenizer is None
        else padded(tokenizer, model.config.vocab_size, "`--tokenizer`")
    )
    return ImportedModel(model=model, parameters=parameters, tokenizer=artifacts, notes=foreign.notes)


@attrs.frozen
class _Weights:
    """The tensors of a folder, in one file or in several."""

    folder: Path
    files: Mapping[str, SafetensorsFile]
    """By name of the tensor."""
    used: set[str] = attrs.field(factory=set)

    @classmethod
    def open(cls, folder: Path) -> "_Weights":
        if (folder / _WEIGHTS).exists():
            file = open_safetensors(folder / _WEIGHTS)
            return cls(folder, dict.fromkeys(file.names, file))
        if (folder / _INDEX).exists():
            return cls(folder, _files_of_index(folder))
        if (folder / _PICKLE).exists():
            raise CheckpointError(
                f"`{folder / _PICKLE}` is a pickle, which is code and never read",
                hint="save the model again with `transformers`, which writes `model.safetensors`",
            )
        raise CheckpointError(f"`{folder}` has no `{_WEIGHTS}`")

    def read(self, name: str) -> npt.NDArray[np.float32] | None:
        """Returns a tensor, or None if it is not there."""
        file = self.files.get(name)
        if file is None:
            return None
        self.used.add(name)
        return file.read(name)

    def check_all_used(self, model: GPT) -> None:
        """Raises `CheckpointError` for a tensor that the model does not explain: it may be another kind of model."""
        tied = {"lm_head.weight"} if model.config.tie_embeddings else set()
        for name in self.files:
            if name not in self.used and name not in tied and not name.endswith(_BUFFERS):
                raise CheckpointError(f"`{self.folder}` has a tensor `{name}`, which has no counterpart in Alpha")


def _files_of_index(folder: Path) -> dict[str, SafetensorsFile]:
    path = folder / _INDEX
    listed = read_json(path, CheckpointError).get("weight_map")
    if not isinstance(listed, dict) or not all(_is_plain(name) for name in listed.values()):
        raise CheckpointError(f"`{path}` is damaged: its `weight_map` does not map tensors to files beside it")
    opened = {name: open_safetensors(folder / name) for name in dict.fromkeys(listed.values())}
    for tensor, name in listed.items():
        if tensor not in opened[name].entries:
            raise CheckpointError(f"`{folder / name}` lacks tensor `{tensor!s:.80}`, which `{_INDEX}` lists")
    return {tensor: opened[name] for tensor, name in listed.items()}


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name and name.isprintable()
