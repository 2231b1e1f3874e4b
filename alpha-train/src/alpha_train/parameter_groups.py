"""Which parameters an optimizer treats alike, and which of them decay. The one place that says so.

| kind | parameters | weight decay |
|---|---|---|
| `matrix` | weights of the hidden linear layers: `wqkv`, `wo`, `fc1`, `fc2`, ... | yes |
| `embedding` | token and position tables, and the head | yes |
| `vector` | norms, biases, activation coefficients | no |

This is the usual rule for GPTs: two-dimensional parameters decay, one-dimensional ones do not. A model gives each
parameter its kind (`alpha_model.parameters.ParameterSpec`); an optimizer may treat kinds differently, as muon does.
"""

from collections.abc import Mapping, Sequence

from alpha_core.optimizer import ParameterGroup
from alpha_core.tensor import Tensor
from alpha_model.parameters import ParameterSpec

__all__ = ["parameter_groups"]

DECAYS = {"matrix": True, "embedding": True, "vector": False}


def parameter_groups(
    specs: Sequence[ParameterSpec],
    weight_decay: float,
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    state: Mapping[str, Mapping[str, Tensor]],
) -> list[ParameterGroup]:
    """Returns a group for each kind that has parameters; tensors are looked up by parameter name."""
    groups = []
    for kind, decays in DECAYS.items():
        names = [spec.name for spec in specs if spec.kind == kind]
        if not names:
            continue
        groups.append(
            ParameterGroup(
                kind=kind,
                weight_decay=weight_decay if decays else 0.0,
                names=names,
                parameters=[parameters[name] for name in names],
                gradients=[gradients[name] for name in names],
                state={slot: [state[name][slot] for name in names] for slot in state[names[0]]},
            )
        )
    return groups
