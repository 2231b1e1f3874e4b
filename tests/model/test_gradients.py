"""The gradient of every parameter, under every option, against finite differences in float64."""

import numpy as np
import pytest
from tests.model.options import BLOCK, OPTIONS, VOCABULARY, make_model, make_parameters

from alpha_autograd import Tape, check_grads
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from alpha_model import Randomness
from alpha_tensor import CpuRef


def loss_function(name: str, *, recompute: bool = False):  # type: ignore[no-untyped-def]
    model = make_model(**OPTIONS[name])
    generator = np.random.default_rng(1)
    tokens = generator.integers(0, VOCABULARY, (2, BLOCK)).astype(np.int32)
    targets = generator.integers(0, VOCABULARY, (2, BLOCK)).astype(np.int32)
    targets[0, 1] = -1
    names = [spec.name for spec in model.parameter_specs]

    def loss(backend: Backend, *tensors: Tensor) -> Tensor:
        random = None
        if model.config.dropout:
            rows = backend.upload(np.array([3, 8], np.int32))
            random = Randomness(5, backend.full((), 2, DType.i32), rows)
        parameters = dict(zip(names, tensors, strict=True))
        batch = backend.upload(tokens), backend.upload(targets)
        return backend.sum(model.losses(backend, parameters, *batch, random, recompute=recompute))

    return loss, list(make_parameters(model).values())


@pytest.mark.parametrize("name", OPTIONS)
def test_every_parameter_gradient_matches_finite_differences(name: str) -> None:
    loss, values = loss_function(name)
    check_grads(loss, values, CpuRef(), tolerance=1e-6)


@pytest.mark.parametrize("name", ["plain", "dropout", "modern"])
def test_recomputing_activations_gives_the_same_bits(name: str) -> None:
    backend = CpuRef()
    results = []
    for recompute in (False, True):
        loss, values = loss_function(name, recompute=recompute)
        tape = Tape(backend)
        tensors = [backend.upload(value.astype(np.float32)) for value in values]
        tape.watch(*tensors)
        gradients = tape.gradients(loss(tape, *tensors), tensors)
        results.append([backend.download(gradient) for gradient in gradients])
    for kept, recomputed in zip(*results, strict=True):
        np.testing.assert_array_equal(kept, recomputed)
