"""GPT-2 (Radford et al. 2019): layer norms, learned positions, biases, and weights stored (in, out), as Conv1D."""

from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_interchange.architectures.architecture import (
    ACTIVATIONS,
    Architecture,
    ForeignModel,
    Found,
    Read,
    Values,
    absent,
    activation_name,
    wrong_options,
)
from alpha_interchange.fields import Fields
from alpha_model import GPT

__all__ = ["GPT2"]

_WANTED = {"norm": "layer", "position": "learned", "qk_norm": False, "soft_cap": 0.0}
_LINEAR = {"attn.wqkv": "attn.c_attn", "attn.wo": "attn.c_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
_NORMS = {"ln1": "ln_1", "ln2": "ln_2"}


@final
class _GPT2(Architecture):
    model_type: ClassVar[str] = "gpt2"

    def problems(self, model: GPT) -> list[str]:
        found = list(wrong_options(model, _WANTED))
        if model.activation.gated or activation_name(model) is None:
            found.append(f"`activation` = `{model.config.activation}`")
        return found

    def config_json(self, model: GPT) -> dict[str, Any]:
        config = model.config
        return {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": self.model_type,
            "vocab_size": config.vocab_size,
            "n_positions": config.block_size,
            "n_ctx": config.block_size,
            "n_embd": config.n_embd,
            "n_layer": config.n_layer,
            "n_head": config.n_head,
            "n_inner": config.resolved_ffn_width(gated=False),
            "activation_function": activation_name(model),
            "resid_pdrop": config.dropout,
            "embd_pdrop": config.dropout,
            "attn_pdrop": config.dropout,
            "layer_norm_epsilon": config.norm_eps,
            "initializer_range": 0.02,
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "tie_word_embeddings": config.tie_embeddings,
        }

    def tensors(self, model: GPT, values: Values) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        yield "transformer.wte.weight", values["wte"]
        yield "transformer.wpe.weight", values["wpe"]
        for layer in range(model.config.n_layer):
            ours, theirs = f"layer.{layer}", f"transformer.h.{layer}"
            for name, other in _NORMS.items():
                yield f"{theirs}.{other}.weight", values[f"{ours}.{name}.weight"]
                yield f"{theirs}.{other}.bias", values[f"{ours}.{name}.bias"]
            for name, other in _LINEAR.items():
                weight = values[f"{ours}.{name}"]
                yield f"{theirs}.{other}.weight", weight.T
                yield f"{theirs}.{other}.bias", absent(values, f"{ours}.{name}.bias", len(weight))
        yield "transformer.ln_f.weight", values["lnF.weight"]
        yield "transformer.ln_f.bias", values["lnF.bias"]
        if not model.config.tie_embeddings:
            yield "lm_head.weight", values["lmHead"]

    def read_config(self, fields: Fields) -> ForeignModel:
        fields.require("scale_attn_weights", True, True)
        fields.require("scale_attn_by_inverse_layer_idx", False, False)
        fields.require("add_cross_attention", False, False)
        function = fields.text("activation_function", "gelu_new")
        if function not in ACTIVATIONS:
            hint = "Alpha's `gelu` is the tanh form, `gelu_new`" if function == "gelu" else None
            raise fields.unsupported("activation_function", function, hint)
        dropouts = {key: fields.number(key, 0.1) for key in ("resid_pdrop", "embd_pdrop", "attn_pdrop")}
        differ = len(set(dropouts.values())) > 1
        notes = (f"`dropout` is that of `resid_pdrop`, {dropouts['resid_pdrop']}; the others differ",) if differ else ()
        width = fields.integer("n_embd", 768)
        config = ModelConfig(
            vocab_size=fields.integer("vocab_size", 50257),
            block_size=fields.integer("n_positions", 1024),
            n_layer=fields.integer("n_layer", 12),
            n_embd=width,
            n_head=fields.integer("n_head", 12),
            dropout=dropouts["resid_pdrop"],
            activation=ACTIVATIONS[function],
            ffn_width=fields.integer("n_inner", 4 * width),
            norm="layer",
            norm_eps=fields.number("layer_norm_epsilon", 1e-5),
            position="learned",
            tie_embeddings=fields.boolean("tie_word_embeddings", True),
            bias=True,
        )
        return ForeignModel(config, notes)

    def parameters(self, model: GPT, read: Read, fields: Fields) -> Found:
        def named(name: str) -> npt.NDArray[np.float32] | None:
            """The files of the first GPT-2 have no `transformer.` before their names."""
            value = read(f"transformer.{name}")
            return read(name) if value is None else value

        yield "wte", named("wte.weight")
        yield "wpe", named("wpe.weight")
        for layer in range(model.config.n_layer):
            for name, other in _NORMS.items():
                yield f"layer.{layer}.{name}.weight", named(f"h.{layer}.{other}.weight")
                yield f"layer.{layer}.{name}.bias", named(f"h.{layer}.{other}.bias")
            for name, other in _LINEAR.items():
                weight = named(f"h.{layer}.{other}.weight")
                yield f"layer.{layer}.{name}", None if weight is None else weight.T
                yield f"layer.{layer}.{name}.bias", named(f"h.{layer}.{other}.bias")
        yield "lnF.weight", named("ln_f.weight")
        yield "lnF.bias", named("ln_f.bias")
        if not model.config.tie_embeddings:
            yield "lmHead", read("lm_head.weight")


GPT2 = _GPT2()
