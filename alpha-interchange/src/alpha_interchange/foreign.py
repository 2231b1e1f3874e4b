"""A model of another toolkit in Alpha's terms, and the run folder that holds it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig, RunConfig, TrainConfig, config_hash, to_dict
from alpha_core.errors import CheckpointError
from alpha_model import GPT, Activation
from alpha_model.parameters import parameter_specs
from alpha_train import RunFolder
from alpha_train.checkpoint import Checkpoint

__all__ = ["ImportedModel", "checked_parameters", "new_model", "write_run"]

_PARAMETERS_PER_LAYER = 6  # at least: two norms, four matrices


@attrs.frozen(kw_only=True, eq=False)
class ImportedModel:
    """A model with its weights and its tokenizer."""

    model: GPT
    parameters: Mapping[str, npt.NDArray[np.float32]]
    """Every parameter of the model, each of its shape."""
    tokenizer: Mapping[str, Any]
    """Its artifacts; it has as many tokens as the model."""
    notes: tuple[str, ...] = ()


def new_model(config: ModelConfig, activation: Activation, tensor_count: int, source: str) -> GPT:
    """Returns the model of a configuration. Raises `CheckpointError` for one with more layers than a file can hold."""
    if config.n_layer * _PARAMETERS_PER_LAYER > tensor_count:
        raise CheckpointError(f"{source} speaks of {config.n_layer} layers, for which there are too few tensors")
    return GPT(config, activation)


def checked_parameters(
    model: GPT, found: Iterable[tuple[str, npt.NDArray[np.float32] | None]], source: str
) -> dict[str, npt.NDArray[np.float32]]:
    """Returns parameters in the model's order. Raises `CheckpointError` for one that is missing or misshapen."""
    shapes = {spec.name: spec.shape for spec in parameter_specs(model.config, model.activation)}
    parameters: dict[str, npt.NDArray[np.float32]] = {}
    for name, array in found:
        shape = shapes.get(name)
        if array is None or array.shape != shape:
            there = "is missing" if array is None else f"has shape {list(array.shape)}"
            wanted = f"shape {list(shape)}" if shape is not None else "no place"
            raise CheckpointError(f"{source}: what is parameter `{name}` of Alpha, with {wanted}, {there}")
        parameters[name] = np.ascontiguousarray(array, np.float32)
    for name in shapes:
        if name not in parameters:
            raise CheckpointError(f"{source}: what is parameter `{name}` of Alpha is missing")
    return {name: parameters[name] for name in shapes}


def write_run(folder: Path, imported: ImportedModel) -> RunFolder:
    """Makes a run folder of a model, as if it had been trained: with a checkpoint of step 0. Raises `AlphaError`."""
    train = TrainConfig(tokenizer=str(folder / "tokenizer.json"), runs_dir=str(folder.parent))
    config = RunConfig(model=imported.model.config, train=train)
    run = RunFolder.create(folder.parent, folder.name, to_dict(config))
    run.write_tokenizer(imported.tokenizer)
    checkpoint = Checkpoint(
        step=0,
        optimizer_step=0,
        model_config=attrs.asdict(imported.model.config),
        config_hash=config_hash(config),
        seed=None,
        tokenizer_artifacts=imported.tokenizer,
        activation_graph=imported.model.activation.to_json(),
        parameters=imported.parameters,
    )
    run.save_checkpoint(checkpoint, keep=1)
    return run
