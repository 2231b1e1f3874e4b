"""AdamW against figures of PyTorch, and what an update promises."""

import numpy as np

from alpha_core.config import TrainConfig
from alpha_core.dtype import DType
from alpha_core.optimizer import ParameterGroup, StepScalars
from alpha_tensor import CpuRef
from alpha_train.optimizers.adamw import AdamW

# torch.optim.AdamW(lr=0.1, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1), PyTorch 2.13, float64, gradients [1, -2] * t
PYTORCH = (
    (0.890000001, -0.3950000005),
    (0.7853014146472518, -0.2952514138516138),
    (0.6829974158988886, -0.19784791489573572),
    (0.5820827452814802, -0.10178473912015358),
    (0.4820965120666797, -0.006601485828836823),
)


def test_five_steps_equal_pytorch() -> None:
    backend = CpuRef()
    config = TrainConfig(lr=0.1, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, precision="f64")
    optimizer = AdamW(config)
    parameter = backend.upload(np.array([1.0, -0.5]))
    gradient = backend.zeros((2,), DType.f64)
    state = {slot: [backend.zeros(shape, DType.f64)] for slot, shape in optimizer.slots("w", (2,), "matrix").items()}
    group = ParameterGroup(
        kind="matrix", weight_decay=0.1, names=["w"], parameters=[parameter], gradients=[gradient], state=state
    )
    for step, expected in enumerate(PYTORCH, 1):
        backend.assign(gradient, backend.upload(np.array([10.0, -20.0]) * step))
        scalars = StepScalars(
            gradient_scale=backend.full((), 0.1, DType.f64),
            apply=backend.full((), 1.0, DType.f64),
            values=[backend.full((), value, DType.f64) for value in optimizer.step_values(step, 0.1)],
        )
        optimizer.update(backend, group, scalars)
        np.testing.assert_allclose(backend.download(parameter), expected, rtol=1e-12)
