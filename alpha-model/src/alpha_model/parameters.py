"""Names, shapes and initial values of a GPT's parameters. Weights of linear layers are (out, in)."""

import math

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_core.random import normal, stream_id
from alpha_core.tensor import Shape
from alpha_model.activation import Activation

__all__ = ["ParameterSpec", "initial_value", "parameter_count", "parameter_specs"]

_STD = 0.02  # GPT-2's


@attrs.frozen(kw_only=True)
class ParameterSpec:
    """One parameter. `kind` is `embedding`, `matrix` or `vector`, as in `alpha_core.optimizer.ParameterGroup`.

    It starts normally distributed with standard deviation `std` around 0, or constant at `mean` if `std` is 0.
    """

    name: str
    shape: Shape
    kind: str
    mean: float = 0.0
    std: float = 0.0


def parameter_specs(config: ModelConfig, activation: Activation) -> list[ParameterSpec]:
    """Returns all parameters in the order of checkpoints: embeddings, layers, final norm, head."""
    width, hidden = config.n_embd, config.resolved_ffn_width(gated=activation.gated)
    residual_std = _STD / math.sqrt(
        2 * config.n_layer
    )  # so that the residual stream's variance does not grow with depth
    specs = [ParameterSpec(name="wte", shape=(config.vocab_size, width), kind="embedding", std=_STD)]

    def linear(name: str, outputs: int, inputs: int, std: float = _STD) -> None:
        specs.append(ParameterSpec(name=name, shape=(outputs, inputs), kind="matrix", std=std))
        if config.bias:
            specs.append(ParameterSpec(name=f"{name}.bias", shape=(outputs,), kind="vector"))

    def norm(name: str, length: int = width, kind: str = config.norm) -> None:
        specs.append(ParameterSpec(name=f"{name}.weight", shape=(length,), kind="vector", mean=1.0))
        if kind == "layer":
            specs.append(ParameterSpec(name=f"{name}.bias", shape=(length,), kind="vector"))

    if config.position == "learned":
        specs.append(ParameterSpec(name="wpe", shape=(config.block_size, width), kind="embedding", std=_STD))
    for layer in range(config.n_layer):
        prefix = f"layer.{layer}"
        norm(f"{prefix}.ln1")
        linear(f"{prefix}.attn.wqkv", 3 * width, width)
        if config.qk_norm:
            norm(f"{prefix}.attn.qNorm", config.head_width, "rms")
            norm(f"{prefix}.attn.kNorm", config.head_width, "rms")
        linear(f"{prefix}.attn.wo", width, width, residual_std)
        norm(f"{prefix}.ln2")
        first = ("fc_gate", "fc_up") if activation.gated else ("fc1",)
        for name in first:
            linear(f"{prefix}.mlp.{name}", hidden, width)
        specs += [
            ParameterSpec(name=f"{prefix}.mlp.act.{c.name}", shape=(hidden,), kind="vector", mean=c.initial)
            for c in activation.expression.coefficients()
        ]
        linear(f"{prefix}.mlp.{'fc_proj' if activation.gated else 'fc2'}", width, hidden, residual_std)
    norm("lnF")
    if not config.tie_embeddings:
        specs.append(ParameterSpec(name="lmHead", shape=(config.vocab_size, width), kind="embedding", std=_STD))
    return specs


def initial_value(spec: ParameterSpec, seed: int) -> npt.NDArray[np.float64]:
    """Returns a parameter's initial value: a pure function of the seed and the parameter's name and shape."""
    if spec.std == 0:
        return np.full(spec.shape, spec.mean)
    return spec.mean + spec.std * normal(seed, stream_id(f"init.{spec.name}"), spec.shape)


def parameter_count(specs: list[ParameterSpec]) -> int:
    """Returns the number of scalar parameters."""
    return sum(math.prod(spec.shape) for spec in specs)
