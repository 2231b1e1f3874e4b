"""The tables of ops agree: every op of the contract has one row in each."""

import inspect

import numpy as np
import pytest

from alpha_autograd import GRADIENTS, NO_GRAD
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.op import ops_of
from alpha_testkit.op_cases import OP_CASES, Case, OpCase
from alpha_testkit.op_cases.case import Array, leaves

OPS = set(ops_of(Backend))


def test_every_op_has_cases() -> None:
    assert set(OP_CASES) == OPS


def test_every_op_has_a_gradient_or_a_reason_for_none() -> None:
    assert set(GRADIENTS) | set(NO_GRAD) == OPS
    assert not set(GRADIENTS) & set(NO_GRAD)


def test_cases_check_the_gradient_of_exactly_the_ops_that_have_one() -> None:
    assert {name for name, case in OP_CASES.items() if case.differentiable} == set(GRADIENTS)


@pytest.mark.parametrize("case", OP_CASES.values(), ids=list(OP_CASES))
def test_rows_are_complete(case: OpCase) -> None:
    parameters = set(inspect.signature(getattr(Backend, case.name)).parameters)
    assert set(case.differentiable) <= parameters
    for table in (case.samples, case.integers, case.non_finite, case.errors):
        names = [sample.name for sample in table]
        assert len(set(names)) == len(names)
    if case.differentiable:
        assert any(sample.gradient for sample in case.samples)


def _has_empty_array(case: OpCase) -> bool:
    for sample in case.samples:
        host = Case(case, sample, DType.f64).host()
        arrays: list[Array] = [leaf for leaf in leaves(list(host.values())) if isinstance(leaf, np.ndarray)]
        if any(array.size == 0 for array in arrays) or 0 in host.get("shape", ()) or host.get("length") == 0:
            return True
    return False


@pytest.mark.parametrize("name", sorted(OPS - {"clip_coefficient"}))  # which takes a single number
def test_every_op_has_an_empty_sample(name: str) -> None:
    assert _has_empty_array(OP_CASES[name])


def test_draws_are_the_same_in_every_run() -> None:
    case = Case(OP_CASES["matmul"], OP_CASES["matmul"].samples[0], DType.f32)
    np.testing.assert_array_equal(case.host()["a"], case.host()["a"])
    assert not np.array_equal(case.host()["a"], case.host("second")["a"])
