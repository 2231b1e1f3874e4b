"""What a run trained, on the host: its configuration, weights and tokenizer, checked against each other."""

import attrs

from alpha_core.config import RunConfig, from_dict
from alpha_core.errors import CheckpointError, OpError, UsageError
from alpha_core.plugins import Plugins
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT, Activation
from alpha_train.checkpoint import Checkpoint, check_tokenizer, read_checkpoint
from alpha_train.run_folder import RunFolder

__all__ = ["BEST", "LATEST", "StoredModel", "read_model"]

BEST, LATEST = "best", "latest"


@attrs.frozen(kw_only=True, eq=False)
class StoredModel:
    """A checkpoint of a run with all that is needed to compute with it."""

    folder: RunFolder
    config: RunConfig
    """The run's, with the model of the checkpoint."""
    checkpoint: Checkpoint
    """Has every parameter of `model`, each of its shape, if tensors were read."""
    model: GPT
    tokenizer: Tokenizer


def read_model(folder: RunFolder, plugins: Plugins, checkpoint: str = BEST, *, tensors: bool = True) -> StoredModel:
    """Reads a checkpoint of a run: the `best` by validation loss, the `latest`, or that of a step (`"500"`).

    With `tensors` False only the checkpoint's header is read. The activation comes from the checkpoint, so that the
    plugin that brought it need not be installed. Raises `CheckpointError`, and `UsageError` for a checkpoint that the
    run has not.
    """
    config = from_dict(folder.read_config(), source=f"`{folder.path / 'config.json'}`")
    stored = _read(folder, checkpoint, tensors)
    artifacts = folder.read_tokenizer()
    check_tokenizer(stored, artifacts)
    tokenizer = plugins.load_tokenizer(artifacts)
    model_config = from_dict({"model": dict(stored.model_config)}, source="the checkpoint").model
    if tokenizer.vocab_size != model_config.vocab_size:
        raise CheckpointError(
            f"the model has {model_config.vocab_size} tokens, the tokenizer of run `{folder.run_id}` has"
            f" {tokenizer.vocab_size}: they do not belong together"
        )
    model = GPT(model_config, _activation(stored, plugins))
    for spec in model.parameter_specs if tensors else ():
        array = stored.parameters.get(spec.name)
        if array is None or array.shape != spec.shape:
            found = "is missing" if array is None else f"has shape {list(array.shape)}"
            raise CheckpointError(f"parameter `{spec.name}`, of shape {list(spec.shape)}, {found} in the checkpoint")
    return StoredModel(
        folder=folder,
        config=attrs.evolve(config, model=model_config),
        checkpoint=stored,
        model=model,
        tokenizer=tokenizer,
    )


def _read(folder: RunFolder, checkpoint: str, tensors: bool) -> Checkpoint:
    if checkpoint == BEST:
        return folder.best_checkpoint(tensors=tensors)
    if checkpoint == LATEST:
        return folder.latest_checkpoint(tensors=tensors)
    steps = folder.checkpoint_steps()
    if not checkpoint.isdecimal() or int(checkpoint) not in steps:
        there = ", ".join(f"`{step}`" for step in steps) or "none"
        raise UsageError(
            f"run `{folder.run_id}` has no checkpoint `{checkpoint}`",
            hint=f"name `{BEST}`, `{LATEST}` or a step; there are {there}",
        )
    return read_checkpoint(folder.checkpoint_path(int(checkpoint)), tensors=tensors)


def _activation(checkpoint: Checkpoint, plugins: Plugins) -> Activation:
    if checkpoint.activation_graph is None:  # of the first version of the format
        return Activation.of(plugins.activations.get(str(checkpoint.model_config.get("activation", "gelu"))))
    try:
        return Activation.from_json(checkpoint.activation_graph)
    except OpError as error:
        raise CheckpointError(f"the activation of the checkpoint cannot be used: {error.message}") from error
