"""Knobs of a backend, and the operands of its products."""

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_core.errors import BackendError, UsageError
from alpha_core.knob import Knob, check_knob, knob_texts, parse_knobs
from alpha_tensor import CpuRef

KNOBS = (
    Knob("lanes", "Parts of a batch.", 2, (1, 2, 4), changes_results=True),
    Knob("threads", "Threads.", 1, (1,), changes_results=False),
)


def test_texts_and_values_of_knobs_convert_into_each_other() -> None:
    values = parse_knobs(["lanes=2", " chunk = 256 "])
    assert values == {"lanes": 2, "chunk": 256}
    assert parse_knobs(knob_texts(values.items())) == values


@pytest.mark.parametrize("text", ["lanes", "lanes=", "=2", "lanes=two", "lanes=-1", "lanes=2=3", "la nes=1", "lanes=²"])
def test_a_malformed_knob_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="sets no knob"):
        parse_knobs([text])


def test_a_knob_that_is_set_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="knob `lanes` is set twice"):
        parse_knobs(["lanes=2", "lanes=4"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lane", 2, "backend `fast` has no knob `lane`; it has `lanes`, `threads`\nhint: did you mean `lanes`?"),
        ("lanes", 8, "knob `lanes` of backend `fast` is set to `8`; a number from 1 to 4 is needed"),
        ("threads", 2, "knob `threads` of backend `fast` is set to `2`; 1 is the only value"),
    ],
)
def test_a_knob_that_does_not_exist_or_take_the_value_is_explained(name: str, value: int, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_knob(KNOBS, name, value, "fast")
    assert str(raised.value) == message


def test_values_between_the_choices_are_allowed() -> None:
    assert check_knob(KNOBS, "lanes", 3, "fast") is KNOBS[0]


def test_a_backend_without_knobs_says_so() -> None:
    with pytest.raises(UsageError, match="backend `cpu_ref` has no knob `lanes`; it has none"):
        CpuRef().set_knob("lanes", 2)


def test_bf16_operands_are_rounded_and_sums_are_not() -> None:
    backend = CpuRef()
    backend.set_matmul_dtype(DType.bf16)
    a = backend.upload(np.array([[1 + 2.0**-9, 1.0]], np.float32))  # the first rounds to 1
    b = backend.upload(np.array([[1.0], [2.0**-12]], np.float32))
    assert backend.download(backend.matmul(a, b)) == 1 + 2.0**-12  # which a bf16 sum could not hold
    double = backend.upload(np.array([[1 + 2.0**-9]]))
    assert backend.download(backend.matmul(double, double)) == (1 + 2.0**-9) ** 2  # only f32 operands are rounded


def test_attention_is_made_of_such_products() -> None:
    generator = np.random.default_rng(0)
    backend = CpuRef()
    query, key, value = (backend.upload(generator.standard_normal((1, 2, 5, 8)).astype(np.float32)) for _ in range(3))
    exact, _ = backend.attention(query, key, value)
    backend.set_matmul_dtype(DType.bf16)
    rounded, _ = backend.attention(query, key, value)
    difference = np.abs(backend.download(rounded) - backend.download(exact)).max()
    assert 1e-4 < difference < 0.05


def test_a_backend_without_such_products_gives_the_reason() -> None:
    with pytest.raises(BackendError, match="has no matrix products of i8 operands; it computes in f32, f64"):
        CpuRef().set_matmul_dtype(DType.i8)
