"""What an architecture of `transformers` is: settings and names, both ways."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_interchange.fields import Fields
from alpha_model import GPT, Activation

__all__ = [
    "ACTIVATIONS",
    "Architecture",
    "ForeignModel",
    "Found",
    "Read",
    "Values",
    "absent",
    "activation_name",
    "rows_joined",
    "wrong_options",
]

Values = Mapping[str, npt.NDArray[Any]]
Found = Iterator[tuple[str, npt.NDArray[np.float32] | None]]
"""Parameters by Alpha's names; None for one that is not there."""
Read = Callable[[str], npt.NDArray[np.float32] | None]
"""Returns a tensor by its name in the foreign file, or None if it is not there."""

ACTIVATIONS = {
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "relu2": "relu2",
}
"""Alpha's activation for each name in `transformers`; of several for one the first is written."""


@attrs.frozen
class ForeignModel:
    """What a `config.json` of another toolkit says, in Alpha's terms."""

    config: ModelConfig
    notes: tuple[str, ...] = ()
    """What a person should know about it."""


class Architecture(ABC):
    """One `model_type`."""

    model_type: ClassVar[str]

    @abstractmethod
    def problems(self, model: GPT) -> list[str]:
        """Returns which options of a model the architecture has no place for; empty if it can be the model."""

    @abstractmethod
    def config_json(self, model: GPT) -> dict[str, Any]:
        """Returns the model's part of `config.json`."""

    @abstractmethod
    def tensors(self, model: GPT, values: Values) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yields the tensors of a weight file, by the architecture's names and in its layouts."""

    @abstractmethod
    def read_config(self, fields: Fields) -> ForeignModel:
        """Returns the model that a `config.json` describes.

        Raises `CheckpointError` for a setting of the wrong type, or without a counterpart in Alpha, naming it.
        """

    @abstractmethod
    def parameters(self, model: GPT, read: Read, fields: Fields) -> Found:
        """Yields the model's parameters, of whatever shape they have in the file."""


def activation_name(model: GPT) -> str | None:
    """Returns what `transformers` calls the function of a model's activation; None if it has none such."""
    for name, ours in ACTIVATIONS.items():
        if model.activation.expression == Activation.builtin(ours).expression:
            return name
    return None


def absent(values: Values, name: str, length: int) -> npt.NDArray[Any]:
    """Returns a bias, or zeros where the model has none."""
    return values[name] if name in values else np.zeros(length, np.float32)


def wrong_options(model: GPT, wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yields the settings of a model that are not as an architecture wants them."""
    for key, value in wanted.items():
        found = getattr(model.config, key)
        if found != value:
            yield f"`{key}` = `{found}`"


def rows_joined(parts: Sequence[npt.NDArray[np.float32] | None]) -> npt.NDArray[np.float32] | None:
    """Returns parts below each other, or None if one is missing or they do not fit."""
    present = [part for part in parts if part is not None]
    if len(present) < len(parts) or len({part.shape[1:] for part in present}) > 1 or not all(p.ndim for p in present):
        return None
    return np.concatenate(present)
