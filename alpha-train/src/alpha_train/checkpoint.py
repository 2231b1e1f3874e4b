"""A checkpoint: everything that a run needs to continue or to sample, in one file of data (never code)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import numpy.typing as npt

from alpha_core.errors import CheckpointError
from alpha_train.atomic_file import atomic_write
from alpha_train.checkpoint_format import FormatError, Header, read_header, read_tensors, write_file

__all__ = ["Checkpoint", "check_tokenizer", "read_checkpoint", "write_checkpoint"]

T = TypeVar("T")

_PARAMETER, _STATE = "p.", "o."


@attrs.frozen(kw_only=True, eq=False)
class Checkpoint:
    """The state of a run after a step. Arrays are float32, or float64 for a run of that precision."""

    step: int
    """Steps done."""
    optimizer_step: int
    """Steps that the optimizer applied; fewer than `step` if some were skipped."""
    model_config: Mapping[str, Any]
    train_config: Mapping[str, Any] | None = None
    config_hash: str
    seed: int | None
    """With the step all that random numbers depend on. None in files of the first version."""
    tokenizer_artifacts: Mapping[str, Any] | None
    activation_graph: Any = None
    extra: Mapping[str, Any] = attrs.field(factory=dict)
    """Whatever else should be kept, as JSON values."""
    parameters: Mapping[str, npt.NDArray[Any]]
    optimizer_state: Mapping[str, Mapping[str, npt.NDArray[Any]]] = attrs.field(factory=dict)
    """For each parameter its slots: `{"wte": {"m": ..., "v": ...}}`. Names of slots have no dots."""
    notes: tuple[str, ...] = ()
    """What reading it found; not stored."""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint file, which is there completely or not at all, even after a crash.

    Raises `CheckpointError` for content that the format cannot hold, or when the file cannot be written.
    """
    tensors = {f"{_PARAMETER}{name}": array for name, array in checkpoint.parameters.items()}
    for name, slots in checkpoint.optimizer_state.items():
        for slot, array in slots.items():
            if name not in checkpoint.parameters or "." in slot or not slot:
                raise CheckpointError(
                    f"optimizer state `{slot}` of parameter `{name}` cannot be stored under that name"
                )
            tensors[f"{_STATE}{name}.{slot}"] = array
    fields = {
        "modelConfig": checkpoint.model_config,
        "configHash": checkpoint.config_hash,
        "rngState": {"seed": checkpoint.seed, "step": checkpoint.step},
        "step": checkpoint.step,
        "tokenizerArtifacts": checkpoint.tokenizer_artifacts,
        "optimizerStep": checkpoint.optimizer_step,
        "trainConfig": checkpoint.train_config,
        "extra": checkpoint.extra,
    }
    if checkpoint.activation_graph is not None:
        fields["activationGraph"] = checkpoint.activation_graph
    try:
        with atomic_write(path) as file:
            write_file(file, fields, tensors)
    except FormatError as error:
        raise CheckpointError(f"checkpoint `{path}` cannot be written: {error}") from error
    except OSError as error:
        raise CheckpointError(
            f"checkpoint `{path}` cannot be written: {error.strerror}", hint="make room, or check the folder"
        ) from error


def read_checkpoint(path: Path, *, tensors: bool = True) -> Checkpoint:
    """Reads a checkpoint after checking every length and both checksums.

    With `tensors` False only the header is read (and checked against its checksum and the length of the file): the
    arrays are missing then. Raises `CheckpointError`, in one line, if the file is damaged or is none.
    """
    try:
        with open(path, "rb") as file:
            header = read_header(file, os.fstat(file.fileno()).st_size)
            arrays = read_tensors(file, header) if tensors else {}
        return _checkpoint(header, arrays)
    except FormatError as error:
        raise CheckpointError(f"`{path}` is no checkpoint that can be used: {error}") from error
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint `{path}`") from error
    except OSError as error:
        raise CheckpointError(f"checkpoint `{path}` cannot be read: {error.strerror}") from error


def check_tokenizer(checkpoint: Checkpoint, artifacts: Mapping[str, Any]) -> None:
    """Raises `CheckpointError` if the model was trained with another tokenizer than that of `artifacts`.

    The checkpoint has checksums and `tokenizer.json` has none, so this also notices damage that is still valid JSON.
    """
    if checkpoint.tokenizer_artifacts is not None and checkpoint.tokenizer_artifacts != artifacts:
        raise CheckpointError("the checkpoint was made with another tokenizer than the run folder's `tokenizer.json`")


def _checkpoint(header: Header, arrays: Mapping[str, npt.NDArray[Any]]) -> Checkpoint:
    fields = header.fields
    parameter_names = {entry.name[len(_PARAMETER) :] for entry in header.tensors if entry.name.startswith(_PARAMETER)}
    for entry in header.tensors:
        if not entry.name.startswith(_PARAMETER) and _state_name(entry.name)[0] not in parameter_names:
            raise FormatError(f"its tensor `{entry.name}` belongs to no parameter")
    state: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, array in arrays.items():
        if not name.startswith(_PARAMETER):
            parameter, slot = _state_name(name)
            state.setdefault(parameter, {})[slot] = array
    random_state = fields.get("rngState")
    seed = random_state.get("seed") if isinstance(random_state, dict) else None
    return Checkpoint(
        step=_count(fields, "step"),
        optimizer_step=_count(fields, "optimizerStep"),
        model_config=_field(fields, "modelConfig", dict),
        train_config=_optional_object(fields, "trainConfig"),
        config_hash=_field(fields, "configHash", str),
        seed=seed if type(seed) is int else None,
        tokenizer_artifacts=_optional_object(fields, "tokenizerArtifacts"),
        activation_graph=fields.get("activationGraph"),
        extra=_optional_object(fields, "extra") or {},
        parameters={n[len(_PARAMETER) :]: array for n, array in arrays.items() if n.startswith(_PARAMETER)},
        optimizer_state=state,
        notes=() if header.payload_sha256 else ("this checkpoint has no checksums, so damage may go unnoticed",),
    )


def _state_name(name: str) -> tuple[str, str]:
    """Returns parameter and slot of `o.<parameter>.<slot>`, the parameter empty if the name is not of that form."""
    parameter, _, slot = name[len(_STATE) :].rpartition(".")
    return (parameter, slot) if name.startswith(_STATE) and slot else ("", slot)


def _field(fields: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = fields.get(key)
    if not isinstance(value, kind):
        raise FormatError(f"its header has no valid `{key}`")
    return value


def _optional_object(fields: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    return None if fields.get(key) is None else _field(fields, key, dict)


def _count(fields: Mapping[str, Any], key: str) -> int:
    value = fields.get(key)
    if type(value) is not int or value < 0:
        raise FormatError(f"its header has no valid `{key}`")
    return value
