"""A whole model of Alpha in one safetensors file: parameters by Alpha's names, the rest as text in its metadata.

`__metadata__` has `alpha`, a JSON object: `formatVersion` 1, `model` (the settings of [model]), `activation` (its
`expression`, and whether it is `gated`), `tokenizer` (its artifacts), `run` and `step`.
"""

import json
from pathlib import Path
from typing import Any

import attrs

from alpha_core.config import from_dict
from alpha_core.errors import CheckpointError, ConfigError, OpError
from alpha_interchange.foreign import ImportedModel, checked_parameters, new_model
from alpha_interchange.safetensors_file import open_safetensors, write_safetensors
from alpha_model import Activation
from alpha_train.stored_model import StoredModel

__all__ = ["read_alpha_safetensors", "write_alpha_safetensors"]

_KEY, _VERSION = "alpha", 1


def write_alpha_safetensors(path: Path, stored: StoredModel) -> None:
    """Writes a model. Raises `CheckpointError` if the file cannot be written."""
    about = {
        "formatVersion": _VERSION,
        "model": attrs.asdict(stored.model.config),
        "activation": stored.model.activation.to_json(),
        "tokenizer": stored.tokenizer.to_artifacts(),
        "run": stored.folder.run_id,
        "step": stored.checkpoint.step,
    }
    tensors = {spec.name: stored.checkpoint.parameters[spec.name] for spec in stored.model.parameter_specs}
    write_safetensors(path, tensors, {_KEY: json.dumps(about), "format": "pt"})


def read_alpha_safetensors(path: Path) -> ImportedModel:
    """Reads what `write_alpha_safetensors` wrote. Raises `CheckpointError` for anything else."""
    file = open_safetensors(path)
    source = f"`{path}`"
    if _KEY not in file.metadata:
        raise CheckpointError(
            f"{source} holds no model of Alpha: its metadata lack `{_KEY}`",
            hint="for a model of transformers, give `--from=hf` and the folder",
        )
    try:
        about = json.loads(file.metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{source}: `{_KEY}` of its metadata is no valid JSON: {error}") from error
    if not isinstance(about, dict) or about.get("formatVersion") != _VERSION:
        raise CheckpointError(f"{source}: `{_KEY}` of its metadata has no `formatVersion` {_VERSION}")
    settings, tokenizer = about.get("model"), about.get("tokenizer")
    if not isinstance(settings, dict) or not isinstance(tokenizer, dict):
        raise CheckpointError(f"{source}: `{_KEY}` of its metadata lacks `model` or `tokenizer`")
    try:
        config = from_dict({"model": settings}, source=source).model
        activation = Activation.from_json(about.get("activation"))
    except (ConfigError, OpError) as error:
        raise CheckpointError(f"{source}: {error.message}", hint=error.hint) from error
    model = new_model(config, activation, len(file.names), source)
    names = [spec.name for spec in model.parameter_specs]
    extra = sorted(set(file.names) - set(names))
    if extra:
        raise CheckpointError(f"{source} has a tensor `{extra[0]}`, for which its model has no use")
    found: Any = ((name, file.read(name) if name in file.entries else None) for name in names)
    return ImportedModel(model=model, parameters=checked_parameters(model, found, source), tokenizer=tokenizer)
