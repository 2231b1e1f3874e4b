"""Growing a model without changing what it computes: wider, deeper, with more heads or a longer context.

Widening from E to E' channels (r^2 = E / E'): what writes to the residual stream writes 0 to its new channels under RMS
norms, and the mean of the old channels under layer norms. Then the mean square (or mean and variance) that a norm sees
is r^2 times what it was, and with `norm_eps` times r^2 and weights times r the old channels come out as before; of a
layer norm the new ones come out as 0, since they are the mean. So nothing reads the new channels yet, and their
columns may hold anything: they hold initial values.

New heads, new channels of the MLP and new layers write nothing to the stream yet: their columns of `wo`, `fc2` and
`fc_proj` are 0. Wider heads (D to D'): the new channels of keys are 0, queries are times sqrt(D' / D) to make up for
the scale of attention, and the rotary base is raised to the power D' / D, so that the old wavelengths stay. Normalized
queries and keys are times r, so that their `norm_eps` stays in proportion.

Sources: Chen, Goodfellow, Shlens 2016 ("Net2Net"); Gesmundo, Maile 2023 ("Composable function-preserving expansions
for transformer architectures"), which have no layer norms under a change of width.
"""

import math
from collections.abc import Mapping

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_model.gpt import GPT
from alpha_model.morph.axes import Overlap, axes_of, hidden_width, kind_of

__all__ = ["grow_problems", "grown_config", "grown_value", "is_silent"]

Array = npt.NDArray[np.float64]

_SAME = ("norm", "position", "qk_norm", "soft_cap")
_NOT_LESS = ("n_layer", "n_embd", "n_head", "block_size")
_NORMS = ("ln1", "ln2", "lnF")
_WRITERS = ("wo", "fc2", "fc_proj")


def grown_config(parent: ModelConfig, child: ModelConfig) -> ModelConfig:
    """Returns the child's configuration with the `norm_eps` and `rope_base` that growing asks for.

    They stay as they are where they are not the parent's: someone chose them.
    """
    eps, base = _required(parent, child)
    return attrs.evolve(
        child,
        norm_eps=eps if child.norm_eps == parent.norm_eps else child.norm_eps,
        rope_base=base if child.rope_base == parent.rope_base else child.rope_base,
    )


def grow_problems(parent: GPT, child: GPT) -> list[str]:
    """Returns why the child cannot compute what its parent does, a sentence part each; empty if it can."""
    old, new = parent.config, child.config
    problems = [
        f"`{key}` is {getattr(old, key)} in the parent and would be {getattr(new, key)}"
        for key in _SAME
        if getattr(old, key) != getattr(new, key)
    ]
    if parent.activation != child.activation:
        problems.append(f"the activation is `{old.activation}` in the parent and would be another, `{new.activation}`")
    sizes = [(key, getattr(old, key), getattr(new, key)) for key in _NOT_LESS]
    sizes += [("the width of a head", old.head_width, new.head_width)]
    sizes += [("the width inside the MLP", hidden_width(parent), hidden_width(child))]
    problems += [f"{name} would shrink from {before} to {after}" for name, before, after in sizes if after < before]
    if old.bias and not new.bias:
        problems.append("the parent has biases and the child would have none")
    if new.tie_embeddings and not old.tie_embeddings:
        problems.append("the parent has a head of its own, which tied embeddings have no place for")
    if old.qk_norm and new.head_width > old.head_width:
        problems.append(
            "with `qk_norm` new channels of a head would have to be 0 in queries and keys, and so could never learn"
        )
    eps, base = _required(old, new)
    for key, required in (("norm_eps", eps), ("rope_base", base)):
        if not math.isclose(getattr(new, key), required, rel_tol=1e-9):
            problems.append(f"`{key}` would have to be {required!r}, and is set to {getattr(new, key)!r}")
    return problems


def grown_value(
    name: str, value: Array, initial: Array, shared: Mapping[str, Overlap], parent: ModelConfig, child: ModelConfig
) -> Array:
    """Returns the child's value of a parameter from its parent's and from the child's initial one."""
    kind = kind_of(name)
    shrunk = math.sqrt(parent.n_embd / child.n_embd)
    places = np.ix_(*(shared[axis].here for axis in axes_of(name)))
    grown = np.zeros_like(initial) if kind in _WRITERS else initial.copy()
    if kind in _NORMS and name.endswith(".weight"):
        grown *= shrunk
        value = value * shrunk
    elif kind == "wqkv":
        value = _scaled_projections(value, parent, child)
        _silence_new_keys(grown, parent, child, shared["head"])
    grown[places] = value
    if kind in _WRITERS:
        _fill(grown, parent, axis=0)
    elif kind in ("wte", "wpe"):
        _fill(grown, parent, axis=1)
    return grown


def is_silent(name: str) -> bool:
    """Tells whether a parameter of a new layer starts at 0, so that the layer adds nothing to the stream."""
    return kind_of(name) in _WRITERS


def _required(parent: ModelConfig, child: ModelConfig) -> tuple[float, float]:
    """Returns `norm_eps` and `rope_base` with which the child can compute what its parent does."""
    eps = parent.norm_eps * parent.n_embd / child.n_embd
    try:
        return eps, float(parent.rope_base ** (child.head_width / parent.head_width))
    except OverflowError:
        return eps, math.inf


def _fill(grown: Array, parent: ModelConfig, axis: int) -> None:
    """Sets what is written to new channels of the stream: the mean of the old ones before layer norms, else 0."""
    old, new = np.split(grown, [parent.n_embd], axis=axis)
    new[...] = old.mean(axis=axis, keepdims=True) if parent.norm == "layer" else 0.0


def _scaled_projections(value: Array, parent: ModelConfig, child: ModelConfig) -> Array:
    """Returns the parent's queries, keys and values scaled for the child. (3E, ...)"""
    query = key = math.sqrt(parent.n_embd / child.n_embd) if parent.qk_norm else 1.0
    query *= math.sqrt(child.head_width / parent.head_width)
    scale = np.repeat([query, key, 1.0], parent.n_embd)
    scaled: Array = value * scale.reshape(-1, *[1] * (value.ndim - 1))
    return scaled


def _silence_new_keys(grown: Array, parent: ModelConfig, child: ModelConfig, head: Overlap) -> None:
    """Sets the new channels of the keys of old heads to 0. (3E', ...)"""
    channels = np.setdiff1d(np.arange(child.head_width), head.here)
    heads = np.arange(parent.n_head)[:, None] * child.head_width
    grown[child.n_embd + (heads + channels).reshape(-1)] = 0.0
