"""Loading what a run trained, to evaluate it or to sample from it."""

from collections.abc import Mapping

import attrs

from alpha_core.backend import Backend
from alpha_core.config import RunConfig, from_dict
from alpha_core.errors import BackendError, CheckpointError, OpError, UsageError
from alpha_core.plugins import Plugins
from alpha_core.suggest import did_you_mean
from alpha_core.tensor import Tensor
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT, Activation
from alpha_model.weights import WEIGHT_FORMATS, upload_parameters
from alpha_train.checkpoint import Checkpoint, check_tokenizer, read_checkpoint
from alpha_train.precision import set_precision
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
    """By name; of a quantized weight also its scales, as `alpha_model.weights` says."""
    weights: str | None
    """The format that the weights were asked for in; None is that of the run's precision."""
    tokenizer: Tokenizer

    @property
    def step(self) -> int:
        return self.checkpoint.step

    def sampler(self) -> Sampler:
        """Returns what continues prompts with this model."""
        return Sampler(self.model, self.backend, self.parameters, self.tokenizer)


def load_run(
    folder: RunFolder,
    plugins: Plugins,
    *,
    checkpoint: str = BEST,
    backend: str = "auto",
    weights: str | None = None,
) -> LoadedRun:
    """Loads a checkpoint of a run: the `best` by validation loss, the `latest`, or that of a step (`"500"`).

    The activation comes from the checkpoint, so the plugin that brought it need not be installed. Weights are computed
    with in the run's precision where the backend can, else in f32, which the notes of its checkpoint tell. `weights`,
    one of `f32`, `bf16` and `int8`, is how those of matrix products are stored instead; then all else is f32. Raises
    `CheckpointError` and `UsageError`.
    """
    if weights is not None and weights not in WEIGHT_FORMATS:
        listed = ", ".join(f"`{name}`" for name in WEIGHT_FORMATS)
        raise UsageError(
            f"weights cannot be `{weights}`; they can be {listed}", hint=did_you_mean(weights, WEIGHT_FORMATS)
        )
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
    notes = list(stored.notes)
    try:
        dtype = set_precision(chosen, config.train.precision if weights is None else "f32")
    except BackendError as error:
        notes.append(f"{error.message}: the model, trained in {config.train.precision}, is computed in f32")
        dtype = set_precision(chosen, "f32")
    model = GPT(model_config, _activation(stored, plugins))
    for spec in model.parameter_specs:
        array = stored.parameters.get(spec.name)
        if array is None or array.shape != spec.shape:
            found = "is missing" if array is None else f"has shape {list(array.shape)}"
            raise CheckpointError(f"parameter `{spec.name}`, of shape {list(spec.shape)}, {found} in the checkpoint")
    return LoadedRun(
        folder=folder,
        config=attrs.evolve(config, model=model_config),
        checkpoint=attrs.evolve(stored, parameters={}, optimizer_state={}, notes=tuple(notes)),
        model=model,
        backend=chosen,
        parameters=upload_parameters(
            chosen, model.parameter_specs, stored.parameters, dtype, weights, head=model.head_name
        ),
        weights=weights,
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
