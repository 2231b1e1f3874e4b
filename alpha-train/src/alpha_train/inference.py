"""Loading what a run trained, to evaluate it or to sample from it."""

from collections.abc import Mapping

import attrs

from alpha_core.backend import Backend
from alpha_core.config import RunConfig
from alpha_core.errors import BackendError, UsageError
from alpha_core.plugins import Plugins
from alpha_core.suggest import did_you_mean
from alpha_core.tensor import Tensor
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT
from alpha_model.weights import WEIGHT_FORMATS, upload_parameters
from alpha_train.checkpoint import Checkpoint
from alpha_train.precision import set_precision
from alpha_train.run_folder import RunFolder
from alpha_train.sampling import Sampler
from alpha_train.stored_model import BEST, LATEST, read_model

__all__ = ["BEST", "LATEST", "LoadedRun", "load_run"]


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

    Weights are computed with in the run's precision where the backend can, else in f32, which the notes of its
    checkpoint tell. `weights`, one of `f32`, `bf16` and `int8`, is how those of matrix products are stored instead;
    then all else is f32. Raises `CheckpointError` and `UsageError`.
    """
    if weights is not None and weights not in WEIGHT_FORMATS:
        listed = ", ".join(f"`{name}`" for name in WEIGHT_FORMATS)
        raise UsageError(
            f"weights cannot be `{weights}`; they can be {listed}", hint=did_you_mean(weights, WEIGHT_FORMATS)
        )
    stored = read_model(folder, plugins, checkpoint)
    chosen = plugins.choose_backend(backend).load()
    notes = list(stored.checkpoint.notes)
    try:
        dtype = set_precision(chosen, stored.config.train.precision if weights is None else "f32")
    except BackendError as error:
        notes.append(f"{error.message}: the model, trained in {stored.config.train.precision}, is computed in f32")
        dtype = set_precision(chosen, "f32")
    model, parameters = stored.model, stored.checkpoint.parameters
    return LoadedRun(
        folder=folder,
        config=stored.config,
        checkpoint=attrs.evolve(stored.checkpoint, parameters={}, optimizer_state={}, notes=tuple(notes)),
        model=model,
        backend=chosen,
        parameters=upload_parameters(chosen, model.parameter_specs, parameters, dtype, weights, head=model.head_name),
        weights=weights,
        tokenizer=stored.tokenizer,
    )
