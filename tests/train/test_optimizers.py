"""Every optimizer against figures of an independent implementation.

All figures: float64, five steps, lr 0.1, weight decay 0.1; from `START` with the gradients `gradient_of(step)`, but
where said. Those of PyTorch are of version 2.13 (`torch.optim`), whose SGD has no decoupled weight decay: the parameter
was multiplied by 0.99 before each of its steps.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from alpha_core.config import TrainConfig
from alpha_core.dtype import DType
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_tensor import CpuRef
from alpha_train.optimizers.adafactor import Adafactor
from alpha_train.optimizers.adamw import AdamW
from alpha_train.optimizers.lion import Lion
from alpha_train.optimizers.muon import Muon, orthogonalized
from alpha_train.optimizers.sgd import SGD

Array = npt.NDArray[np.float64]

LR, DECAY, STEPS = 0.1, 0.1, 5
START = np.array([[0.5, -1.0, 0.25], [1.5, 0.75, -0.5]])

# torch.optim.AdamW(betas=(0.9, 0.95), eps=1e-8) from [1, -0.5] with gradients [1, -2] * t
ADAMW = (
    (0.890000001, -0.3950000005),
    (0.7853014146472518, -0.2952514138516138),
    (0.6829974158988886, -0.19784791489573572),
    (0.5820827452814802, -0.10178473912015358),
    (0.4820965120666797, -0.006601485828836823),
)
# torch.optim.SGD(momentum=...), the second with nesterov=True
SGD_PLAIN = [
    [-1.0046543760500002, 0.029208952099999963, -0.007302238024999991],
    [1.3039601996, 0.723093435425, 0.8870722753],
]
SGD_MOMENTUM = [[-2.66204838605, 1.6409989721, -0.410249743025], [1.1024864471, -0.03719758457500007, 1.9472202778]]
SGD_NESTEROV = [[-3.82844344595, 2.3619990719, -0.590499767975], [1.012361434625, 0.0476973256249998, 3.067516047775]]
# torch.optim.Adafactor(eps=(1e-30, 1e-3)); the vector is the second row
ADAFACTOR = [
    [0.0034340620644497276, -0.6372452334089077, 0.05548849252514493],
    [1.3551947363421393, 0.6710822598140573, 0.08916848939191803],
]
ADAFACTOR_VECTOR = [1.043610512661384, 0.6941804885619917, 0.032239737479473764]
# torch.optim.Muon(momentum=0.95, nesterov=..., adjust_lr_fn="match_rms_adamw"), with its Newton-Schulz iteration in
# float64 instead of bfloat16 (torch.Tensor.bfloat16 = torch.Tensor.clone)
MUON_NESTEROV = [
    [0.3467207771231772, -0.8703969149426525, 0.22243040612207315],
    [1.366487056277404, 0.6662911244495342, -0.3641275184745349],
]
MUON = [
    [0.3495782065834993, -0.8708476042499034, 0.2232954042002792],
    [1.3591935301849078, 0.6530756219364804, -0.38291876370785993],
]
# the numpy formula `lion_formula` below
LION = [
    [-0.014604476049999982, -0.4608905489, -0.252351988525],
    [0.93638557385, 0.621143036425, 0.014604476049999982],
]


def gradient_of(step: int) -> Array:
    return np.array([[1.0 * step, -2.0, 0.5], [0.25, 3.0 - step, -step * step / 4]])


class Stepper:
    """One parameter in float64, updated with gradients ten times too large at a scale of a tenth."""

    def __init__(self, optimizer: Optimizer, start: Array, kind: str = "matrix", name: str = "w") -> None:
        self.optimizer, self.backend = optimizer, CpuRef()
        self.group = ParameterGroup(
            kind=kind,
            weight_decay=DECAY,
            names=[name],
            parameters=[self.backend.upload(start)],
            gradients=[self.backend.zeros(start.shape, DType.f64)],
            state={
                slot: [self.backend.zeros(shape, DType.f64)]
                for slot, shape in optimizer.slots("w", start.shape, kind).items()
            },
        )

    def step(self, gradient: Array, values: tuple[float, ...]) -> Array:
        b = self.backend
        b.assign(self.group.gradients[0], b.upload(10 * gradient))
        scale, apply, *rest = (b.full((), value, DType.f64) for value in (0.1, 1.0, *values))
        self.optimizer.update(b, self.group, StepScalars(gradient_scale=scale, apply=apply, values=rest))
        return b.download(self.group.parameters[0])


def steps_of(optimizer: Optimizer, start: Array = START, gradient: Any = gradient_of, kind: str = "matrix") -> Array:
    """Returns the parameter after all steps."""
    stepper = Stepper(optimizer, start, kind)
    return [stepper.step(gradient(step), optimizer.step_values(step, LR)) for step in range(1, STEPS + 1)][-1]


def test_adamw_equals_pytorch() -> None:
    optimizer = AdamW(TrainConfig(beta1=0.9, beta2=0.95, eps=1e-8))
    stepper = Stepper(optimizer, np.array([1.0, -0.5]))
    for step, expected in enumerate(ADAMW, 1):
        got = stepper.step(np.array([1.0, -2.0]) * step, optimizer.step_values(step, LR))
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"momentum": 0.0}, SGD_PLAIN),
        ({"momentum": 0.9}, SGD_MOMENTUM),
        ({"momentum": 0.9, "nesterov": True}, SGD_NESTEROV),
    ],
    ids=["plain", "momentum", "nesterov"],
)
def test_sgd_equals_pytorch(settings: dict[str, Any], expected: list[list[float]]) -> None:
    np.testing.assert_allclose(steps_of(SGD(TrainConfig(**settings))), expected, rtol=1e-12)


def test_sgd_without_momentum_has_no_state() -> None:
    assert SGD(TrainConfig(momentum=0.0)).slots("w", (2, 3), "matrix") == {}


def lion_formula() -> Array:
    """In the order of the authors' code: decay first, then the sign."""
    p, m = START.copy(), np.zeros_like(START)
    for step in range(1, STEPS + 1):
        g = gradient_of(step)
        p *= 1 - LR * DECAY
        p -= LR * np.sign(0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
    return p


def test_lion_equals_the_formula() -> None:
    got = steps_of(Lion(TrainConfig(beta1=0.9, beta2=0.99)))
    np.testing.assert_allclose(got, lion_formula(), rtol=1e-12)
    np.testing.assert_allclose(got, LION, rtol=1e-12)


@pytest.mark.parametrize(("kind", "expected"), [("matrix", ADAFACTOR), ("vector", ADAFACTOR_VECTOR)])
def test_adafactor_equals_pytorch_with_its_decay(kind: str, expected: Any) -> None:
    """PyTorch's averages keep 1 - t^-0.8, as the paper's algorithm does; ours a constant beta2 without its bias."""
    start, rows = (START, slice(None)) if kind == "matrix" else (START[1], 1)
    stepper = Stepper(Adafactor(TrainConfig(eps=1e-30)), start, kind)
    got = [stepper.step(gradient_of(step)[rows], (LR, step**-0.8)) for step in range(1, STEPS + 1)][-1]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_adafactor_averages_are_free_of_bias() -> None:
    """The average of equal values is that value after any number of steps, and weights fall by beta2."""
    optimizer = Adafactor(TrainConfig(beta2=0.75))
    average, weighted, total = 0.0, 0.0, 0.0
    for step in range(1, 8):
        _, share = optimizer.step_values(step, LR)
        average += share * (step - average)
        weighted, total = 0.75 * weighted + step, 0.75 * total + 1
        assert average == pytest.approx(weighted / total, rel=1e-12)


def test_adafactor_keeps_a_row_and_a_column_of_a_matrix() -> None:
    slots = Adafactor(TrainConfig()).slots("w", (500, 300), "embedding")
    assert sorted(np.prod(shape) for shape in slots.values()) == [300, 500]


def test_adafactor_survives_rows_and_columns_without_gradient() -> None:
    """In f32 the product of two means of 1e-30 is 0; an element of such a row and column is left alone."""
    backend, optimizer = CpuRef(), Adafactor(TrainConfig(eps=1e-30))
    group = ParameterGroup(
        kind="matrix",
        weight_decay=0.0,
        names=["w"],
        parameters=[backend.upload(np.ones((2, 2), np.float32))],
        gradients=[backend.upload(np.array([[0, 0], [0, 1e3]], np.float32))],
        state={slot: [backend.zeros(shape)] for slot, shape in optimizer.slots("w", (2, 2), "matrix").items()},
    )
    scale, apply, *values = (backend.full((), value) for value in (1.0, 1.0, *optimizer.step_values(1, LR)))
    optimizer.update(backend, group, StepScalars(gradient_scale=scale, apply=apply, values=values))
    got = backend.download(group.parameters[0])
    np.testing.assert_array_equal(got.ravel()[:3], 1.0)
    assert np.isfinite(got).all()
    assert got[1, 1] < 1


@pytest.mark.parametrize(("nesterov", "expected"), [(True, MUON_NESTEROV), (False, MUON)])
def test_muon_equals_pytorch(nesterov: bool, expected: list[list[float]]) -> None:
    optimizer = Muon(TrainConfig(momentum=0.95, nesterov=nesterov))
    np.testing.assert_allclose(steps_of(optimizer), expected, rtol=1e-11)
    tall = steps_of(optimizer, START.T.copy(), lambda step: gradient_of(step).T)
    np.testing.assert_allclose(tall, np.transpose(expected), rtol=1e-11)


@pytest.mark.parametrize("kind", ["embedding", "vector"])
def test_muon_leaves_all_but_hidden_matrices_to_adamw(kind: str) -> None:
    config = TrainConfig(momentum=0.95, nesterov=True)
    np.testing.assert_array_equal(steps_of(Muon(config), kind=kind), steps_of(AdamW(config), kind=kind))


def test_muon_takes_the_fused_wqkv_as_three_matrices() -> None:
    optimizer = Muon(TrainConfig(momentum=0.95, nesterov=True))

    def step(name: str, rows: slice) -> Array:
        stepper = Stepper(optimizer, np.tile(START, (3, 1))[rows], name=name)
        gradient = np.random.default_rng(0).standard_normal((6, 3))[rows]
        return stepper.step(gradient, optimizer.step_values(1, LR))

    apart = [step("layer.0.attn.wq", slice(2 * i, 2 * i + 2)) for i in range(3)]
    np.testing.assert_allclose(step("layer.0.attn.wqkv", slice(0, 6)), np.concatenate(apart), rtol=1e-12)


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24), (1, 5)])
def test_orthogonalizing_brings_singular_values_near_one_and_keeps_directions(shape: tuple[int, int]) -> None:
    backend = CpuRef()
    x = np.random.default_rng(0).standard_normal(shape)
    got = backend.download(orthogonalized(backend, backend.upload(x)))
    singular = np.linalg.svd(got, compute_uv=False)
    assert singular.min() > 0.65
    assert singular.max() < 1.25
    u, _, v = np.linalg.svd(x, full_matrices=False)
    aligned = u.T @ got @ v.T
    np.testing.assert_allclose(aligned - np.diag(np.diag(aligned)), 0, atol=1e-10)
