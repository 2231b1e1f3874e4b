"""Adafactor: second moments of a matrix as the product of a row and a column."""

from alpha_core.backend import Backend
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_core.tensor import Shape, Tensor

__all__ = ["Adafactor"]

CLIP_THRESHOLD = 1.0
"""Largest root mean square of an update before its scaling (d of the paper)."""
SMALLEST_SCALE = 1e-3
"""What a parameter's root mean square counts at least (epsilon 2 of the paper), so that zeros can move."""


class Adafactor(Optimizer):
    """Shazeer, Stern 2018, "Adafactor: adaptive learning rates with sublinear memory cost", algorithm 4.

    With g the scaled gradient, t the step and b = beta2 (1 - beta2^(t-1)) / (1 - beta2^t), which is the paper's way
    (section 7.1) to make a constant beta2 free of bias without a correction:

        r = b r + (1 - b) mean of g^2 + eps over a row          c: the same over a column
        v = r c / mean(r)                                       for a vector: v = b v + (1 - b) (g^2 + eps)
        u = g / sqrt(v)
        p = p - lr (max(1e-3, rms(p)) u / max(1, rms(u)) + weight_decay p)

    with rms the root mean square of all elements. `lr` is relative to the size of a parameter: 0.01 moves it by about
    a hundredth of itself. There is no first moment (beta1 is not used), so the state of a matrix of n by m elements has
    n + m.
    """

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        if kind == "vector":
            return {"v": shape}
        return {"row": (*shape[:-1], 1), "column": (*shape[:-2], 1, shape[-1])}

    def step_values(self, step: int, learning_rate: float) -> tuple[float, ...]:
        beta2 = self.config.beta2
        return learning_rate, (1.0 - beta2) / (1.0 - beta2**step)

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        b = backend
        learning_rate, share = scalars.values  # share is 1 - b of the formula
        kept = b.sub(1.0, share)
        for i, (p, gradient) in enumerate(zip(group.parameters, group.gradients, strict=True)):
            g = b.mul(gradient, scalars.gradient_scale)
            means = _means(b, b.add(b.square(g), self.config.eps), group.kind)
            averages = {slot: group.state[slot][i] for slot in means}
            moved = {slot: b.add(b.mul(averages[slot], kept), b.mul(means[slot], share)) for slot in means}
            # the product of two tiny means can underflow to 0, and 0 / 0 is no update
            u = b.div(g, b.sqrt(b.maximum(_second_moment(b, moved), self.config.eps)))
            size = b.maximum(_rms(b, p), SMALLEST_SCALE)
            factor = b.div(size, b.maximum(b.mul(_rms(b, u), 1.0 / CLIP_THRESHOLD), 1.0))
            change = b.add(b.mul(u, factor), b.mul(p, group.weight_decay))
            b.assign(p, b.where(scalars.apply, b.sub(p, b.mul(change, learning_rate)), p))
            for slot, average in averages.items():
                b.assign(average, b.where(scalars.apply, moved[slot], average))


def _means(b: Backend, squares: Tensor, kind: str) -> dict[str, Tensor]:
    """Returns what the slots are averages of: the means of rows and columns, or for a vector every square."""
    if kind == "vector":
        return {"v": squares}
    return {"row": b.mean(squares, -1, keepdims=True), "column": b.mean(squares, -2, keepdims=True)}


def _second_moment(b: Backend, averages: dict[str, Tensor]) -> Tensor:
    """Returns v of the formula. The division comes first: the product of two small averages would underflow."""
    if "v" in averages:
        return averages["v"]
    row = averages["row"]
    return b.mul(b.div(row, b.mean(row, -2, keepdims=True)), averages["column"])


def _rms(b: Backend, x: Tensor) -> Tensor:
    return b.sqrt(b.mean(b.square(x)))
