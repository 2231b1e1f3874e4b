"""Loading what a run trained, to evaluate it or to sample from it."""

from collections.abc import Mapping

import attrs

from alpha_core.backend import Backend
from alpha_core.config import RunConfig, from_dict
from alpha_core.dtype import DType
from alpha_core.errors import CheckpointError, OpError, UsageError
from alpha_core.plugins import Plugins
from alpha_core.tensor import Tensor
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT, Activation
from alpha_train.checkpoint import Checkpoint, check_tokenizer, read_checkpoint
from alpha_train.run_folder import RunFolder
from alpha_train.sampling import Sampler

__all__ = ["BEST", "LATEST", "LoadedRun", "load_run"]

BEST, LATEST = "best", "latest"


@attrs.frozen(kw_only=True, eq=False)
class LoadedRun:
    """A trained model on a backend, with the tokenizer that it was trained with."""

    folder: RunFolder
    config: RunConfig
    checkpoint: Checkpoint
    """Its header; the arrays are on the backend."""
    model: GPT
    backend: Backend
    parameters: Mapping[str, Tensor]
    tokenizer: Tokenizer

    @property
    def step(self) -> int:
        return self.checkpoint.step

    def sampler(self) -> Sampler:
        """Returns what continues prompts with this model."""
        return Sampler(self.model, self.backend, self.parameters, self.tokenizer)


def load_run(folder: RunFolder, plugins: Plugins, *, checkpoint: str = BEST, backend: str = "auto") -> LoadedRun:
    """Loads a checkpoint of a run: the `best` by validation loss, the `latest`, or that of a step (`"500"`).

    The activation comes from the checkpoint, so the plugin that brought it need not be installed. Weights are computed
    with in the run's precision where the backend can, else in f32. Raises `CheckpointError` and `UsageError`.
    """
    config = from_dict(folder.read_config(), source=f"`{folder.path / 'config.json'}`")
    stored = _read(folder, checkpoint)
    artifacts = folder.read_tokenizer()
    check_tokenizer(stored, artifacts)
    tokenizer = plugins.load_tokenizer(artifacts)
    model_config = from_dict({"model": dict(stored.model_config)}, source="the checkpoint").model
    if tokenizer.vocab_size != model_config.vocab_size:
        raise CheckpointError(
            f"the model has {model_config.vocab_size} tokens, the tokenizer of run `{folder.run_id}` has"
            f" {tokenizer.vocab_size}: they do not belong together"
        )
    chosen = plugins.choose_backend(backend).load()
    dtype = DType(config.train.precision)
    if dtype not in chosen.compute_dtypes:
        dtype = DType.f32
    model = GPT(model_config, _activation(stored, plugins))
    for spec in model.parameter_specs:
        array = stored.parameters.get(spec.name)
        if array is None or array.shape != spec.shape:
            found = "is missing" if array is None else f"has shape {list(array.shape)}"
            raise CheckpointError(f"parameter `{spec.name}`, of shape {list(spec.shape)}, {found} in the checkpoint")
    return LoadedRun(
        folder=folder,
        config=attrs.evolve(config, model=model_config),
        checkpoint=attrs.evolve(stored, parameters={}, optimizer_state={}),
        model=model,
        backend=chosen,
        parameters={spec.name: chosen.upload(stored.parameters[spec.name], dtype) for spec in model.parameter_specs},
        tokenizer=tokenizer,
    )


def _read(folder: RunFolder, checkpoint: str) -> Checkpoint:
    if checkpoint == BEST:
        return folder.best_checkpoint()
    if checkpoint == LATEST:
        return folder.latest_checkpoint()
    steps = folder.checkpoint_steps()
    if not checkpoint.isdecimal() or int(checkpoint) not in steps:
        there = ", ".join(f"`{step}`" for step in steps) or "none"
        raise UsageError(
            f"run `{folder.run_id}` has no checkpoint `{checkpoint}`",
            hint=f"name `{BEST}`, `{LATEST}` or a step; there are {there}",
        )
    return read_checkpoint(folder.checkpoint_path(int(checkpoint)))


def _activation(checkpoint: Checkpoint, plugins: Plugins) -> Activation:
    if checkpoint.activation_graph is None:  # of the first version of the format
        return Activation.of(plugins.activations.get(str(checkpoint.model_config.get("activation", "gelu"))))
    try:
        return Activation.from_json(checkpoint.activation_graph)
    except OpError as error:
        raise CheckpointError(f"the activation of the checkpoint cannot be used: {error.message}") from error
