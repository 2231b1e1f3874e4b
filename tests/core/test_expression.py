"""Expressions: derivatives, simplification, storage."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.errors import OpError
from alpha_core.expression import (
    BINARY_OPS,
    UNARY_OPS,
    Binary,
    Constant,
    Expression,
    Unary,
    X,
    coefficient,
    maximum,
    square,
)
from alpha_core.expression_json import expression_from_json
from alpha_tensor import CpuRef

SMOOTH = ("tanh", "sigmoid", "neg")

trees = st.recursive(
    st.just(X) | st.floats(-2, 2).map(Constant) | st.sampled_from([coefficient("a", 0.5), coefficient("b", -1.0)]),
    lambda inner: (
        st.builds(Unary, st.sampled_from(UNARY_OPS), inner)
        | st.builds(Binary, st.sampled_from(BINARY_OPS), inner, inner)
    ),
    max_leaves=12,
)
smooth_trees = st.recursive(
    st.just(X) | st.floats(-2, 2).map(Constant) | st.just(coefficient("a", 0.5)),
    lambda inner: (
        st.builds(Unary, st.sampled_from(SMOOTH), inner)
        | st.builds(Binary, st.sampled_from(("add", "sub", "mul")), inner, inner)
    ),
    max_leaves=8,
)


def value(expression: Expression, x: np.ndarray, a: float = 0.7) -> np.ndarray:
    backend = CpuRef()
    learned = {"a": backend.full(x.shape, a, backend.upload(x).dtype), "b": backend.upload(x * 0 + 1.3)}
    result = expression.evaluate(backend, backend.upload(x), learned)
    return np.broadcast_to(result if isinstance(result, float) else backend.download(result), x.shape)


@given(trees)
def test_any_tree_round_trips_through_json(tree: Expression) -> None:
    assert expression_from_json(json.loads(json.dumps(tree.to_json()))) == tree


@given(smooth_trees)
def test_derivatives_match_finite_differences(tree: Expression) -> None:
    x, step = np.linspace(-1.5, 1.5, 7), 1e-6
    numeric = (value(tree, x + step) - value(tree, x - step)) / (2 * step)
    np.testing.assert_allclose(value(tree.derivative(X), x), numeric, rtol=1e-5, atol=1e-6 * (1 + abs(numeric).max()))
    numeric = (value(tree, x, 0.7 + step) - value(tree, x, 0.7 - step)) / (2 * step)
    by_coefficient = value(tree.derivative(coefficient("a", 0.5)), x)  # type: ignore[arg-type]
    np.testing.assert_allclose(by_coefficient, numeric, rtol=1e-5, atol=1e-6 * (1 + abs(numeric).max()))


def test_kinks_have_the_stated_derivative() -> None:
    assert value(maximum(X, 0.0).derivative(X), np.array([-1.0, 0.0, 2.0])).tolist() == [0.0, 0.0, 1.0]
    assert value(Unary("abs", X).derivative(X), np.array([-1.0, 0.0, 2.0])).tolist() == [-1.0, 0.0, 1.0]


def test_constants_fold_and_neutral_elements_vanish() -> None:
    assert X * 1.0 + 0.0 == X
    assert (X * 0.0).to_json() == ["constant", 0.0]
    assert (2.0 * (Constant(3.0) + 1.0)).to_json() == ["constant", 8.0]
    assert (3.0 * X + 4.0).derivative(X) == Constant(3.0)


def test_equal_subtrees_are_computed_once() -> None:
    calls = 0

    class Counting(CpuRef):
        def tanh(self, x):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            return super().tanh(x)

    tree = square(Unary("tanh", X)) + Unary("tanh", X)
    backend = Counting()
    tree.evaluate(backend, backend.upload(np.ones(2)), {})
    assert calls == 1


def test_coefficients_are_listed_once_and_must_agree() -> None:
    a = coefficient("a", 1.0)
    assert (a * X + a).coefficients() == (a,)
    with pytest.raises(OpError, match="coefficient `a` has two initial values"):
        (a * X + coefficient("a", 2.0)).coefficients()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        ["y"],
        ["exp"],
        ["exp", ["x"], ["x"]],
        ["add", ["x"]],
        ["constant", "1"],
        ["constant", True],
        ["constant", 10**400],
        "x",
        3,
        ["bad", json.loads("[" * 500 + "]" * 500)],
    ],
)
def test_a_malformed_tree_is_refused(data: object) -> None:
    with pytest.raises(OpError, match="is no node of an expression"):
        expression_from_json(data)


def test_a_tree_of_hostile_size_is_refused() -> None:
    deep: list[object] = ["x"]
    for _ in range(200):
        deep = ["exp", deep]
    wide: list[object] = ["x"]
    for _ in range(20):
        wide = ["add", wide, wide]
    for tree in (deep, wide):
        with pytest.raises(OpError, match="more than 4096 nodes or is nested more than 100 deep"):
            expression_from_json(tree)
