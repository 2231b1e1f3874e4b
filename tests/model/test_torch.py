"""Loss and gradients against a GPT written independently in PyTorch (see `torch_reference.py`)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from alpha_autograd import Tape
from alpha_core.config import ModelConfig
from alpha_model import GPT
from alpha_tensor import CpuRef

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("torch_reference", HERE / "torch_reference.py")
assert SPEC is not None
assert SPEC.loader is not None
reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)


@pytest.mark.parametrize("case", reference.CASES)
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_loss_and_every_gradient_equal_pytorch(case: str, precision: type) -> None:
    options = reference.CASES[case]
    weights, tokens, targets = reference.inputs(options)
    config = ModelConfig(
        vocab_size=reference.VOCABULARY,
        block_size=reference.BLOCK,
        n_layer=reference.LAYERS,
        n_embd=reference.WIDTH,
        n_head=reference.HEADS,
        **options,
    )
    model, backend = GPT(config), CpuRef()
    assert {spec.name: spec.shape for spec in model.parameter_specs} == reference.shapes(options)
    parameters = {name: backend.upload(array.astype(precision)) for name, array in weights.items()}
    tape = Tape(backend)
    tape.watch(*parameters.values())
    loss = tape.sum(model.losses(tape, parameters, backend.upload(tokens), backend.upload(targets)))
    gradients = tape.gradients(loss, list(parameters.values()))

    with np.load(HERE / "torch_reference.npz") as stored:
        # f32 keeps about 1e-7 an operation, and some hundred follow one another; the stored gradients are f32
        tolerance = 1e-5 if precision is np.float32 else 1e-6
        assert float(backend.download(loss)) == pytest.approx(float(stored[f"{case}/loss"]), rel=tolerance)
        for name, gradient in zip(parameters, gradients, strict=True):
            expected = stored[f"{case}/{name}"]
            error = np.linalg.norm(backend.download(gradient) - expected) / np.linalg.norm(expected)
            assert error < tolerance, name
