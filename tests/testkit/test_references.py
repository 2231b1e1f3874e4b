"""References of gradients agree with slopes of the forward references: two definitions that hold each other."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_testkit.differences import directions, slope
from alpha_testkit.op_cases import OP_CASES, Case, Sample
from alpha_testkit.op_cases.case import Array, leaves

LARGEST = 200
"""Elements of `grad`; beyond it, samples only differ by size."""

Host = Mapping[str, Any]


def _without(host: Host, *names: str) -> dict[str, Any]:
    return {name: value for name, value in host.items() if name not in names}


def _source_of(host: Host) -> Array:
    """Returns zeros in the shape of what was sliced or gathered: `length` on `axis`, else like `grad`."""
    shape = list(host["grad"].shape)
    shape[host["axis"]] = host["length"]
    return np.zeros(shape)


def _attention(host: Host) -> dict[str, Any]:
    return _without(host, "grad", "out", "log_sum_exp")


# For each gradient op: the forward op, its arguments from those of the gradient op, and for what it is the gradient.
FORWARD: dict[str, tuple[str, Callable[[Host], dict[str, Any]], tuple[str, ...]]] = {
    "clamp_grad": ("clamp", lambda h: _without(h, "grad"), ("x",)),
    "slice_grad": (
        "slice",
        lambda h: {
            "x": _source_of(h),
            "axis": h["axis"],
            "start": h["start"],
            "stop": h["start"] + h["grad"].shape[h["axis"]],
        },
        ("x",),
    ),
    "max_grad": ("max", lambda h: {"x": h["x"], "axes": h["axes"]}, ("x",)),
    "gather_grad": (
        "gather",
        lambda h: {
            "x": _source_of(h),
            "index": h["index"],
            "axis": h["axis"],
        },
        ("x",),
    ),
    "embedding_grad": (
        "embedding",
        lambda h: {"weight": np.zeros((h["rows"], h["grad"].shape[-1])), "ids": h["ids"]},
        ("weight",),
    ),
    "softmax_grad": ("softmax", lambda h: {"x": np.log(h["out"])}, ("x",)),
    "log_softmax_grad": ("log_softmax", lambda h: {"x": h["out"]}, ("x",)),
    "cross_entropy_grad": ("cross_entropy", lambda h: _without(h, "grad"), ("logits",)),
    "layer_norm_grad": (
        "layer_norm",
        lambda h: {**_without(h, "grad"), "bias": np.zeros(h["weight"].shape)},
        ("x", "weight", "bias"),
    ),
    "rms_norm_grad": ("rms_norm", lambda h: _without(h, "grad"), ("x", "weight")),
    "bias_activation_grad": ("bias_activation", lambda h: _without(h, "grad"), ("x", "bias", "coefficients")),
    "attention_grad": ("attention", _attention, ("query", "key", "value")),
}
KINKED = {"ties", "all-equal", "kinks", "relu-kinks", "rational-kinks", "far-mean"}
SAMPLES = [
    (name, sample)
    for name in FORWARD
    for sample in OP_CASES[name].samples
    if sample.name not in KINKED and Case(OP_CASES[name], sample, DType.f64).host()["grad"].size <= LARGEST
]


def test_every_gradient_op_is_checked() -> None:
    assert set(FORWARD) == {name for name in OP_CASES if name.endswith("_grad")}


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[f"{name}-{sample.name}" for name, sample in SAMPLES])
def test_gradient_reference_is_the_slope_of_the_forward_reference(name: str, sample: Sample) -> None:
    forward, arguments_of, sources = FORWARD[name]
    case, host = Case(OP_CASES[name], sample, DType.f64), Case(OP_CASES[name], sample, DType.f64).host()
    forward_case = Case(OP_CASES[forward], sample, DType.f64)
    arguments = arguments_of(host)
    gradients = list(leaves(case.reference(host)))
    places = [
        (source, index)
        for source in sources
        for index in (range(len(arguments[source])) if isinstance(arguments[source], list) else [None])
    ]
    generator = np.random.default_rng(0)
    for (source, index), gradient in zip(places, gradients, strict=True):
        if arguments[source] is None:
            assert gradient is None
            continue
        at: Array = arguments[source] if index is None else arguments[source][index]

        def value(changed: Array, source: str = source, index: int | None = index) -> float:
            replaced = changed if index is None else [*arguments[source]]
            if index is not None:
                replaced[index] = changed
            out = np.asarray(next(leaves(forward_case.reference({**arguments, source: replaced}))))
            return float(np.sum(out * host["grad"].reshape(out.shape)))

        assert gradient.shape == at.shape
        for direction in directions(at.shape, generator):
            want = slope(value, at, direction)
            assert float(np.sum(gradient * direction)) == pytest.approx(want, rel=1e-7, abs=1e-8)
