"""Muon: orthogonalized momentum for hidden matrices, AdamW for everything else."""

import math

from alpha_core.backend import Backend
from alpha_core.config import TrainConfig
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_core.tensor import Shape, Tensor
from alpha_train.optimizers.adamw import AdamW

__all__ = ["Muon", "orthogonalized"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of the iteration: they take small singular values to about 1 in few steps, not exactly to 1."""
ITERATIONS = 5
SMALLEST_NORM = 1e-7
"""So that a gradient of zeros gives zeros."""
ADAMW_RMS = 0.2
"""About the root mean square of AdamW's updates."""
FUSED = {"wqkv": 3}
"""How many matrices of equal height a parameter stacks, by the last part of its name."""


class Muon(Optimizer):
    """Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the scale of Liu et al. 2025.

    A parameter of the kind `matrix`, with g the scaled gradient:

        m = momentum m + (1 - momentum) g
        d = m, or with `nesterov` (1 - momentum) g + momentum m
        p = p - lr (0.2 sqrt(max(rows, columns)) orthogonalized(d) + weight_decay p)

    The scale makes the root mean square of an update 0.2, like AdamW's ("Muon is scalable for LLM training"), so that
    one `lr` and one `weight_decay` serve both: embeddings, head, norms and biases are AdamW's. The fused `wqkv` is
    orthogonalized and scaled as the three matrices that it is, as Jordan advises; m has one tensor for it.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._adamw = AdamW(config)

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        return {"m": shape} if kind == "matrix" else self._adamw.slots(name, shape, kind)

    def step_values(self, step: int, learning_rate: float) -> tuple[float, ...]:
        return self._adamw.step_values(step, learning_rate)

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        if group.kind != "matrix":
            self._adamw.update(backend, group, scalars)
            return
        b, momentum = backend, self.config.momentum
        learning_rate = scalars.values[0]
        tensors = zip(group.names, group.parameters, group.gradients, group.state["m"], strict=True)
        for name, p, gradient, m in tensors:
            g = b.mul(b.mul(gradient, scalars.gradient_scale), 1.0 - momentum)
            moved = b.add(b.mul(m, momentum), g)
            direction = b.add(g, b.mul(moved, momentum)) if self.config.nesterov else moved
            change = b.add(_scaled(b, direction, FUSED.get(name.rpartition(".")[2], 1)), b.mul(p, group.weight_decay))
            b.assign(p, b.where(scalars.apply, b.sub(p, b.mul(change, learning_rate)), p))
            b.assign(m, b.where(scalars.apply, moved, m))


def _scaled(b: Backend, direction: Tensor, parts: int) -> Tensor:
    """Orthogonalizes each of the matrices that are stacked in `direction`, and scales them to AdamW's updates."""
    rows, columns = direction.shape[0] // parts, direction.shape[1]
    blocks = [b.slice(direction, 0, i * rows, (i + 1) * rows) for i in range(parts)]
    whole = b.cat([orthogonalized(b, block) for block in blocks], 0)
    return b.mul(whole, ADAMW_RMS * math.sqrt(max(rows, columns)))


def orthogonalized(backend: Backend, x: Tensor) -> Tensor:
    """Returns about U V^T of x = U S V^T: a matrix (rows, columns) with singular values near 1.

    Newton-Schulz: X = x / |x|, then five times X = a X + (b A + c A A) X with A = X X^T; where there are more rows than
    columns, the same of the transpose, whose A is smaller. Singular values end between 0.68 and 1.21, if they
    were at least 0.002 of the norm.
    """
    rows, columns = x.shape
    a, b, c = COEFFICIENTS
    op, tall = backend, rows > columns
    x = op.div(x, op.maximum(op.sqrt(op.sum_of_squares(x)), SMALLEST_NORM))
    for _ in range(ITERATIONS):
        gram = op.matmul(x, x, transpose_a=tall, transpose_b=not tall)
        polynomial = op.add(op.mul(gram, b), op.mul(op.matmul(gram, gram), c))
        product = op.matmul(x, polynomial) if tall else op.matmul(polynomial, x)
        x = op.add(op.mul(x, a), product)
    return x
