"""What the axes of a parameter count, and where a child's axis takes over what its parent's holds.

| axis | length |
|---|---|
| `vocabulary` | V |
| `position` | block size |
| `width` | E, channels of the residual stream |
| `heads` | E as H heads of D channels, head by head |
| `projections` | 3E: `heads` of queries, of keys, of values |
| `head` | D |
| `hidden` | F, channels inside the MLP |
"""

from collections.abc import Mapping

import attrs
import numpy as np
import numpy.typing as npt

from alpha_model.gpt import GPT

__all__ = ["Overlap", "axes_of", "hidden_width", "kind_of", "overlaps", "same_rows"]

Indices = npt.NDArray[np.int64]

_AXES: dict[str, tuple[str, ...]] = {
    "wte": ("vocabulary", "width"),
    "wpe": ("position", "width"),
    "lmHead": ("vocabulary", "width"),
    "wqkv": ("projections", "width"),
    "wo": ("width", "heads"),
    "qNorm": ("head",),
    "kNorm": ("head",),
    "fc1": ("hidden", "width"),
    "fc_gate": ("hidden", "width"),
    "fc_up": ("hidden", "width"),
    "fc2": ("width", "hidden"),
    "fc_proj": ("width", "hidden"),
    "ln1": ("width",),
    "ln2": ("width",),
    "lnF": ("width",),
    "act": ("hidden",),
}


@attrs.frozen(eq=False)
class Overlap:
    """Places of an axis that parent and child share: `child[here] = parent[there]`. Both (N,)"""

    there: Indices
    here: Indices


def kind_of(name: str) -> str:
    """Returns what a parameter is in any layer: `layer.0.attn.wo.bias` gives `wo`, a coefficient `act`."""
    parts = name.split(".")
    return parts[-2] if parts[-1] in ("weight", "bias") or parts[-2:-1] == ["act"] else parts[-1]


def axes_of(name: str) -> tuple[str, ...]:
    """Returns the axes of a parameter, by its name: `layer.0.attn.wo` gives `("width", "heads")`."""
    axes = _AXES[kind_of(name)]
    return axes[:1] if name.endswith(".bias") else axes


def hidden_width(model: GPT) -> int:
    """Returns F, the number of channels inside the MLP."""
    return model.config.resolved_ffn_width(gated=model.activation.gated)


def overlaps(parent: GPT, child: GPT, rows: Overlap) -> Mapping[str, Overlap]:
    """Returns what the two share of each axis: what lies first; of heads, what lies first in each.

    `rows` is that of the vocabulary. Rotations turn channel i together with i + D/2, so the halves of a head are
    shared one by one where positions are rotary.
    """
    old, new = parent.config, child.config
    rotary = old.position == new.position == "rotary"
    head = _halves(old.head_width, new.head_width) if rotary else _first(old.head_width, new.head_width)
    heads = _repeated(head, min(old.n_head, new.n_head), old.head_width, new.head_width)
    return {
        "vocabulary": rows,
        "position": _first(old.block_size, new.block_size),
        "width": _first(old.n_embd, new.n_embd),
        "head": head,
        "heads": heads,
        "projections": _repeated(heads, 3, old.n_embd, new.n_embd),
        "hidden": _first(hidden_width(parent), hidden_width(child)),
    }


def same_rows(old: int, new: int) -> Overlap:
    """Returns the overlap of two vocabularies in which an id means the same."""
    return _first(old, new)


def _first(old: int, new: int) -> Overlap:
    indices = np.arange(min(old, new))
    return Overlap(indices, indices)


def _halves(old: int, new: int) -> Overlap:
    return _repeated(_first(old // 2, new // 2), 2, old // 2, new // 2)


def _repeated(overlap: Overlap, count: int, old: int, new: int) -> Overlap:
    """Returns the overlap of `count` blocks, of length `old` and `new`, each of which overlaps like the given one."""
    blocks = np.arange(count)[:, None]
    return Overlap((blocks * old + overlap.there).reshape(-1), (blocks * new + overlap.here).reshape(-1))
