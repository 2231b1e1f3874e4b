"""Llama (Touvron et al. 2023): RMS norms, rotary positions by halves of a head, gated MLPs, and biases if asked for."""

from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_interchange.architectures.architecture import (
    Architecture,
    ForeignModel,
    Found,
    Read,
    Values,
    activation_name,
    rows_joined,
    wrong_options,
)
from alpha_interchange.fields import Fields
from alpha_model import GPT

__all__ = ["LLAMA"]

_WANTED = {"norm": "rms", "position": "rotary", "qk_norm": False, "soft_cap": 0.0}
_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_LINEAR = {
    "attn.wo": "self_attn.o_proj",
    "mlp.fc_gate": "mlp.gate_proj",
    "mlp.fc_up": "mlp.up_proj",
    "mlp.fc_proj": "mlp.down_proj",
}
_NORMS = {"ln1": "input_layernorm", "ln2": "post_attention_layernorm"}


@final
class _Llama(Architecture):
    model_type: ClassVar[str] = "llama"

    def problems(self, model: GPT) -> list[str]:
        found = list(wrong_options(model, _WANTED))
        if not model.activation.gated or activation_name(model) is None:
            found.append(f"`activation` = `{model.config.activation}`")
        return found

    def config_json(self, model: GPT) -> dict[str, Any]:
        config = model.config
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": self.model_type,
            "vocab_size": config.vocab_size,
            "hidden_size": config.n_embd,
            "intermediate_size": config.resolved_ffn_width(gated=True),
            "num_hidden_layers": config.n_layer,
            "num_attention_heads": config.n_head,
            "num_key_value_heads": config.n_head,
            "head_dim": config.head_width,
            "hidden_act": activation_name(model),
            "max_position_embeddings": config.block_size,
            "rms_norm_eps": config.norm_eps,
            "rope_theta": config.rope_base,
            "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
            "attention_bias": config.bias,
            "mlp_bias": config.bias,
            "attention_dropout": config.dropout,
            "initializer_range": 0.02,
            "tie_word_embeddings": config.tie_embeddings,
        }

    def tensors(self, model: GPT, values: Values) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        yield "model.embed_tokens.weight", values["wte"]
        for layer in range(model.config.n_layer):
            ours, theirs = f"layer.{layer}", f"model.layers.{layer}"
            for name, other in _NORMS.items():
                yield f"{theirs}.{other}.weight", values[f"{ours}.{name}.weight"]
            for ending, suffix in (("weight", ""), ("bias", ".bias"))[: 1 + model.config.bias]:
                parts = np.split(values[f"{ours}.attn.wqkv{suffix}"], 3)
                yield from ((f"{theirs}.{name}.{ending}", part) for name, part in zip(_QKV, parts, strict=True))
                for name, other in _LINEAR.items():
                    yield f"{theirs}.{other}.{ending}", values[f"{ours}.{name}{suffix}"]
        yield "model.norm.weight", values["lnF.weight"]
        if not model.config.tie_embeddings:
            yield "lm_head.weight", values["lmHead"]

    def read_config(self, fields: Fields) -> ForeignModel:
        fields.require("hidden_act", "silu", "silu")
        heads, width = fields.integer("num_attention_heads", 32), fields.integer("hidden_size", 4096)
        shared = fields.integer("num_key_value_heads", heads)
        if heads % shared:
            raise fields.unsupported("num_key_value_heads", shared, f"it does not divide {heads} heads")
        fields.require("head_dim", width // heads, width // heads)
        biases = [fields.boolean(key, False) for key in ("attention_bias", "mlp_bias")]
        notes = []
        if shared < heads:
            notes.append(f"each of {shared} heads of keys and values is repeated {heads // shared} times")
        if biases[0] != biases[1]:
            notes.append("biases that the model has not are 0")
        config = ModelConfig(
            vocab_size=fields.integer("vocab_size", 32000),
            block_size=fields.integer("max_position_embeddings", 2048),
            n_layer=fields.integer("num_hidden_layers", 32),
            n_embd=width,
            n_head=heads,
            dropout=fields.number("attention_dropout", 0.0),
            activation="swiglu",
            ffn_width=fields.integer("intermediate_size", 11008),
            norm="rms",
            norm_eps=fields.number("rms_norm_eps", 1e-6),
            position="rotary",
            rope_base=_rope_base(fields),
            tie_embeddings=fields.boolean("tie_word_embeddings", False),
            bias=any(biases),
        )
        return ForeignModel(config, tuple(notes))

    def parameters(self, model: GPT, read: Read, fields: Fields) -> Found:
        config = model.config
        repeats = config.n_head // fields.integer("num_key_value_heads", config.n_head)
        has_bias = {
            "self_attn": fields.boolean("attention_bias", False),
            "mlp": fields.boolean("mlp_bias", False),
        }

        def bias(name: str, length: int) -> npt.NDArray[np.float32] | None:
            part = "mlp" if ".mlp." in name else "self_attn"
            return read(name) if has_bias[part] else np.zeros(length, np.float32)

        yield "wte", read("model.embed_tokens.weight")
        for layer in range(config.n_layer):
            ours, theirs = f"layer.{layer}", f"model.layers.{layer}"
            for name, other in _NORMS.items():
                yield f"{ours}.{name}.weight", read(f"{theirs}.{other}.weight")
            query, key, value = (read(f"{theirs}.{name}.weight") for name in _QKV)
            parts = [query, _repeated(key, repeats, config), _repeated(value, repeats, config)]
            yield f"{ours}.attn.wqkv", rows_joined(parts)
            if config.bias:
                length = config.n_embd // repeats
                query = bias(f"{theirs}.{_QKV[0]}.bias", config.n_embd)
                key, value = (bias(f"{theirs}.{name}.bias", length) for name in _QKV[1:])
                parts = [query, _repeated(key, repeats, config), _repeated(value, repeats, config)]
                yield f"{ours}.attn.wqkv.bias", rows_joined(parts)
            for name, other in _LINEAR.items():
                weight = read(f"{theirs}.{other}.weight")
                yield f"{ours}.{name}", weight
                if config.bias:
                    yield f"{ours}.{name}.bias", bias(f"{theirs}.{other}.bias", 0 if weight is None else len(weight))
        yield "lnF.weight", read("model.norm.weight")
        if not config.tie_embeddings:
            yield "lmHead", read("lm_head.weight")


def _rope_base(fields: Fields) -> float:
    """Returns the base of the wavelengths; since version 5 of `transformers` it stands in `rope_parameters`."""
    newer = fields.section("rope_parameters")
    newer.require("rope_type", "default", "default")
    scaling = fields.section("rope_scaling")
    for key in ("rope_type", "type"):
        scaling.require(key, "default", "default")
    return newer.number("rope_theta", scaling.number("rope_theta", fields.number("rope_theta", 10000.0)))


def _repeated(
    part: npt.NDArray[np.float32] | None, repeats: int, config: ModelConfig
) -> npt.NDArray[np.float32] | None:
    """Returns keys or values, each head repeated for the queries that share it. (E / repeats, ...) gives (E, ...)"""
    if part is None or repeats == 1 or part.ndim == 0 or len(part) * repeats != config.n_embd:
        return part
    heads = part.reshape(-1, config.head_width, *part.shape[1:])
    return np.repeat(heads, repeats, axis=0).reshape(config.n_embd, *part.shape[1:])


LLAMA = _Llama()
