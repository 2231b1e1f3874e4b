"""Softmax, log-softmax and cross-entropy against float64: widths up to large vocabularies, and what overflows."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core.dtype import DType
from alpha_core.errors import OpError
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_testkit.compare import assert_same_bits

Array = npt.NDArray[Any]

# One invocation, a part of a subgroup, a subgroup, a workgroup with registers, and rows that do not fit into them.
WIDTHS = (1, 2, 7, 24, 65, 256, 1001, 4096, 50257)
LARGE_VOCABULARY = 131072
DEVICE_EXP = (3 + 2 * 30) * 2.0**-23
"""Vulkan lets a device's e^x be off by 3 + 2 |x| units; logits here are less than 30 apart."""


def log_softmax(x: Array) -> Array:
    with np.errstate(all="ignore"):
        shifted = x.astype(np.float64) - np.max(x, -1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_agrees_with_float64(helios: Helios, width: int) -> None:
    rng = np.random.default_rng(width)
    x, grad = ((rng.standard_normal((5, width)) * 3).astype(np.float32) for _ in range(2))
    logs = log_softmax(x)
    shares = np.exp(logs)
    given, slope = helios.upload(x), helios.upload(grad)
    np.testing.assert_allclose(helios.download(helios.softmax(given)), shares, rtol=DEVICE_EXP, atol=1e-38)
    np.testing.assert_allclose(helios.download(helios.log_softmax(given)), logs, rtol=1e-6, atol=2e-6)
    got = helios.download(helios.softmax_grad(slope, helios.upload(shares.astype(np.float32))))
    np.testing.assert_allclose(got, shares * (grad - (grad * shares).sum(-1, keepdims=True)), atol=4e-6)
    got = helios.download(helios.log_softmax_grad(slope, helios.upload(logs.astype(np.float32))))
    total = grad.astype(np.float64).sum(-1, keepdims=True)
    np.testing.assert_allclose(got, grad - shares * total, atol=4e-6 * max(1.0, np.abs(total).max()))


@pytest.mark.parametrize("width", [*WIDTHS, LARGE_VOCABULARY])
def test_cross_entropy_and_its_gradient(helios: Helios, width: int) -> None:
    rng = np.random.default_rng(width)
    logits = (rng.standard_normal((4, width)) * 4).astype(np.float32)
    logits[1, width // 2 + 1 :] = -np.inf
    targets = np.array([width - 1, width // 2, -1, 0], np.int32)
    grad = np.array([0.5, -2.0, 3.0, 1.0], np.float32)
    logs = log_softmax(logits)
    given = helios.upload(logits), helios.upload(targets)
    want = -logs[np.arange(4), targets] * (targets >= 0)
    np.testing.assert_allclose(helios.download(helios.cross_entropy(*given)), want, rtol=1e-6, atol=2e-6)
    got = helios.download(helios.cross_entropy_grad(helios.upload(grad), *given))
    shares = np.exp(logs)
    shares[np.arange(4), targets] -= 1
    np.testing.assert_allclose(got, shares * (grad * (targets >= 0))[:, None], rtol=4e-6, atol=2e-7)
    assert not got[1, width // 2 + 1 :].any(), "what cannot be chosen has no gradient"
    assert not got[2].any(), "an ignored row has none"


@pytest.mark.parametrize("width", [65, 4096, 50257])
def test_numbers_at_the_edge_of_f32(helios: Helios, width: int) -> None:
    rows = {
        "huge": np.where(np.arange(width) % 2, 1.6e38, -1.6e38),
        "far apart": np.where(np.arange(width) == width - 1, 1.7e38, -1.7e38),
        "one": np.where(np.arange(width) == 3, 0.0, -np.inf),
        "none": np.full(width, -np.inf),
        "infinite": np.where(np.arange(width) == width - 1, np.inf, 0.0),
        "unknown": np.where(np.arange(width) == width - 1, np.nan, 0.0),
    }
    x = np.stack(list(rows.values())).astype(np.float32)
    with np.errstate(all="ignore"):
        logs = log_softmax(x)
    got = helios.download(helios.softmax(helios.upload(x)))
    np.testing.assert_allclose(got, np.exp(logs), rtol=2e-6, atol=1e-38)
    np.testing.assert_allclose(helios.download(helios.log_softmax(helios.upload(x))), logs, rtol=1e-6)
    target = helios.upload(np.full(len(rows), 3, np.int32))
    losses = helios.download(helios.cross_entropy(helios.upload(x), target))
    np.testing.assert_allclose(losses, -logs[:, 3], rtol=1e-6)
    got = helios.download(helios.cross_entropy_grad(helios.full((len(rows),), 1.0), helios.upload(x), target))
    shares = np.exp(logs) - (np.arange(width) == 3)
    np.testing.assert_allclose(got, shares, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("dtype", [DType.bf16, DType.f16])
@pytest.mark.parametrize("width", [64, 4095])
def test_logits_stored_in_16_bits(helios: Helios, width: int, dtype: DType) -> None:
    rng = np.random.default_rng(0)
    logits = rounded((rng.standard_normal((3, width)) * 4).astype(np.float32), dtype)
    targets, grad = np.array([0, 5, width - 1], np.int32), rng.standard_normal(3).astype(np.float32)
    given, classes = stored_as(helios, logits, dtype), helios.upload(targets)
    logs, spacing = log_softmax(logits), {DType.bf16: 2.0**-8, DType.f16: 2.0**-11}[dtype]
    losses = helios.cross_entropy(given, classes)
    assert stored_dtype(losses) is DType.f32
    np.testing.assert_allclose(helios.download(losses), -logs[np.arange(3), targets], rtol=1e-6)
    out = helios.cross_entropy_grad(helios.upload(grad), given, classes)
    assert stored_dtype(out) is dtype, "the gradient of logits is stored as they are"
    want = (np.exp(logs) - (np.arange(width) == targets[:, None])) * grad[:, None]
    smallest = {DType.bf16: 1e-38, DType.f16: 2.0**-25}[dtype]
    np.testing.assert_allclose(helios.download(out), want, rtol=1.01 * spacing, atol=smallest)
    shares = helios.softmax(given)
    assert stored_dtype(shares) is dtype
    np.testing.assert_allclose(helios.download(shares), np.exp(logs), rtol=1.01 * spacing, atol=smallest)
    slope = helios.upload(rng.standard_normal((3, width)).astype(np.float32))
    got = helios.download(helios.softmax_grad(slope, shares))
    g, y = helios.download(slope).astype(np.float64), helios.download(shares).astype(np.float64)
    np.testing.assert_allclose(got, y * (g - (g * y).sum(-1, keepdims=True)), rtol=1.01 * spacing, atol=1e-6)


def test_the_loss_takes_no_memory_for_probabilities(helios: Helios) -> None:
    logits = helios.upload(np.zeros((64, 4096), np.float32))

    def step(targets: Tensor) -> list[Tensor]:
        return [helios.cross_entropy(logits, targets)]

    program = helios.record(step, [np.zeros(64, np.int32)], name="loss")
    np.testing.assert_allclose(helios.download(program(np.zeros(64, np.int32))[0]), np.log(4096), rtol=1e-6)
    assert program.peak_bytes < 4096
    assert program.dispatches == 1


def test_targets_that_are_no_class(helios: Helios) -> None:
    logits, targets = helios.zeros((3, 7)), np.array([0, 7, -2], np.int32)
    with pytest.raises(OpError, match="target 7 is outside"):
        helios.cross_entropy(logits, helios.upload(targets))

    def step(given: Tensor) -> list[Tensor]:
        one = helios.full((3,), 1.0)
        return [helios.cross_entropy(logits, given), helios.cross_entropy_grad(one, logits, given)]

    losses, grad = map(helios.download, helios.record(step, [targets], name="step")(targets))
    np.testing.assert_array_equal(np.isnan(losses), [False, True, True])
    np.testing.assert_array_equal(np.isnan(grad).all(-1), [False, True, True])


def test_results_repeat(helios: Helios) -> None:
    rng = np.random.default_rng(0)
    x = helios.upload((rng.standard_normal((7, 20001)) * 5).astype(np.float32))
    classes = helios.upload(np.arange(7, dtype=np.int32))
    first, second = (
        [helios.download(one) for one in (helios.softmax(x), helios.cross_entropy(x, classes))] for _ in range(2)
    )
    for got, again in zip(first, second, strict=True):
        assert_same_bits("once more", again, got)
