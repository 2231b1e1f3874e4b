"""GGUF files for llama.cpp, written with the package `gguf` and read back before they take their names."""

import os
import secrets
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.errors import CheckpointError, NotInstalledError, UsageError
from alpha_interchange.architectures.architecture import Values, absent
from alpha_interchange.gguf_file import open_gguf
from alpha_interchange.gguf_tokenizer import GgufTokenizer, gguf_tokenizer
from alpha_interchange.hf_folder import architecture_of
from alpha_model import GPT, Activation
from alpha_train.atomic_file import TEMPORARY_SUFFIX, sync_folder
from alpha_train.stored_model import StoredModel

__all__ = ["require_gguf", "write_gguf"]

_ACTIVATIONS = {"gpt2": "gelu", "llama": "swiglu"}
"""The one activation that llama.cpp computes, by architecture."""
_GPT2_LINEAR = {"attn.wqkv": "attn_qkv", "attn.wo": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"}
_LLAMA_LINEAR = {"attn.wo": "attn_output", "mlp.fc_gate": "ffn_gate", "mlp.fc_up": "ffn_up", "mlp.fc_proj": "ffn_down"}


def require_gguf() -> None:
    """Raises `NotInstalledError` if the package `gguf` is missing."""
    if find_spec("gguf") is None:
        raise NotInstalledError(
            "GGUF is written with the package `gguf`, which is not installed",
            hint="pip install 'alpha-interchange[gguf]'",
        )


def write_gguf(path: Path, stored: StoredModel) -> list[str]:
    """Writes a model for llama.cpp, in float32, and returns what a person should know.

    Raises `UsageError` if llama.cpp has no architecture for the model, and `CheckpointError` if the file cannot be
    written or does not read back as it was meant.
    """
    require_gguf()
    architecture = architecture_of(stored.model).model_type
    if stored.model.activation != Activation.builtin(_ACTIVATIONS[architecture]):
        raise UsageError(
            f"llama.cpp computes `{architecture}` with `{_ACTIVATIONS[architecture]}` only, and the model's activation"
            f" is `{stored.model.config.activation}`"
        )
    tokenizer = gguf_tokenizer(stored.tokenizer)
    tensors = dict(_tensors(architecture, stored.model, stored.checkpoint.parameters))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(temporary, architecture, stored, tokenizer, tensors)
            _check(temporary, tensors, tokenizer)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise CheckpointError(
            f"`{path}` cannot be written: {error.strerror}", hint="make room, or check the folder"
        ) from error
    return list(tokenizer.notes)


def _write(
    path: Path, architecture: str, stored: StoredModel, tokenizer: GgufTokenizer, tensors: dict[str, npt.NDArray[Any]]
) -> None:
    import gguf

    config, model = stored.model.config, stored.model
    writer = gguf.GGUFWriter(path, architecture)
    try:
        writer.add_name(stored.folder.run_id)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        writer.add_vocab_size(config.vocab_size)
        writer.add_context_length(config.block_size)
        writer.add_embedding_length(config.n_embd)
        writer.add_block_count(config.n_layer)
        writer.add_feed_forward_length(config.resolved_ffn_width(gated=model.activation.gated))
        writer.add_head_count(config.n_head)
        if architecture == "gpt2":
            writer.add_layer_norm_eps(config.norm_eps)
        else:
            writer.add_head_count_kv(config.n_head)
            writer.add_layer_norm_rms_eps(config.norm_eps)
            writer.add_rope_dimension_count(config.head_width)
            writer.add_rope_freq_base(config.rope_base)
        _write_tokenizer(writer, stored, tokenizer)
        for name, array in tensors.items():
            writer.add_tensor(name, array)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _write_tokenizer(writer: Any, stored: StoredModel, tokenizer: GgufTokenizer) -> None:
    if tokenizer.split is None:
        writer.add_tokenizer_model("no_vocab")
        return
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer.split)
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(tokenizer.types)
    if tokenizer.merges:
        writer.add_token_merges(tokenizer.merges)
    writer.add_add_bos_token(False)
    end = stored.tokenizer.end_of_text
    if end is not None:
        writer.add_bos_token_id(end)
        writer.add_eos_token_id(end)


def _check(path: Path, tensors: dict[str, npt.NDArray[Any]], tokenizer: GgufTokenizer) -> None:
    """Raises `CheckpointError` if the file does not hold what it should."""
    file = open_gguf(path)
    same = file.entries.keys() == tensors.keys() and all(
        np.array_equal(file.read(name), array, equal_nan=True) for name, array in tensors.items()
    )
    if not same or file.metadata.get("tokenizer.ggml.tokens", []) != tokenizer.tokens:
        raise CheckpointError(f"`{path}` does not read back as it was written")


def _tensors(architecture: str, model: GPT, values: Values) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yields the tensors of a file, in float32 and by the names of llama.cpp."""
    named = _gpt2_tensors(model, values) if architecture == "gpt2" else _llama_tensors(model, values)
    for name, array in named:
        yield name, np.ascontiguousarray(array, np.float32)


def _gpt2_tensors(model: GPT, values: Values) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "token_embd.weight", values["wte"]
    yield "position_embd.weight", values["wpe"]
    for layer in range(model.config.n_layer):
        ours, theirs = f"layer.{layer}", f"blk.{layer}"
        for name, other in (("ln1", "attn_norm"), ("ln2", "ffn_norm")):
            yield f"{theirs}.{other}.weight", values[f"{ours}.{name}.weight"]
            yield f"{theirs}.{other}.bias", values[f"{ours}.{name}.bias"]
        for name, other in _GPT2_LINEAR.items():
            weight = values[f"{ours}.{name}"]
            yield f"{theirs}.{other}.weight", weight
            yield f"{theirs}.{other}.bias", absent(values, f"{ours}.{name}.bias", len(weight))
    yield "output_norm.weight", values["lnF.weight"]
    yield "output_norm.bias", values["lnF.bias"]
    if not model.config.tie_embeddings:
        yield "output.weight", values["lmHead"]


def _llama_tensors(model: GPT, values: Values) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "token_embd.weight", values["wte"]
    for layer in range(model.config.n_layer):
        ours, theirs = f"layer.{layer}", f"blk.{layer}"
        for name, other in (("ln1", "attn_norm"), ("ln2", "ffn_norm")):
            yield f"{theirs}.{other}.weight", values[f"{ours}.{name}.weight"]
        for ending, suffix in (("weight", ""), ("bias", ".bias"))[: 1 + model.config.bias]:
            query, key, value = np.split(values[f"{ours}.attn.wqkv{suffix}"], 3)
            yield f"{theirs}.attn_q.{ending}", _neighbours(query, model.config.n_head)
            yield f"{theirs}.attn_k.{ending}", _neighbours(key, model.config.n_head)
            yield f"{theirs}.attn_v.{ending}", value
            for name, other in _LLAMA_LINEAR.items():
                yield f"{theirs}.{other}.{ending}", values[f"{ours}.{name}{suffix}"]
    yield "output_norm.weight", values["lnF.weight"]
    if not model.config.tie_embeddings:
        yield "output.weight", values["lmHead"]


def _neighbours(rows: npt.NDArray[Any], heads: int) -> npt.NDArray[Any]:
    """Returns rows of queries or keys so that channels that turn together lie beside each other, as llama.cpp has them.

    Alpha turns channel i of a head with i + D/2. (E, ...) each
    """
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)
