"""The tape: what is noted, accumulated, refused and freed."""

import runpy
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpha_autograd import Tape, check_grads, checkpoint
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import GradientError, UsageError
from alpha_core.knob import Knob
from alpha_core.random import RandomStream
from alpha_core.tensor import Tensor
from alpha_core.trace import Span
from alpha_tensor import CpuRef

ROOT = Path(__file__).parents[2]


@pytest.fixture
def backend() -> CpuRef:
    return CpuRef()


def test_the_documented_example_learns(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "two_layer_network.py"))
    first, *_, last = capsys.readouterr().out.splitlines()
    assert float(first.split("loss ")[1].split(",")[0]) > 0.6
    assert float(last.split("loss ")[1].split(",")[0]) < 0.2


def test_a_tensor_used_twice_collects_both_gradients(backend: CpuRef) -> None:
    tape, x = Tape(backend), backend.upload(np.array([2.0, 3.0]))
    tape.watch(x)
    (dx,) = tape.gradients(tape.sum(tape.add(tape.mul(x, x), x)), [x])
    np.testing.assert_array_equal(backend.download(dx), [5.0, 7.0])


@pytest.mark.parametrize("shapes", [((3, 1), (1, 4)), ((4,), (2, 3, 4)), ((), (2, 2)), ((2, 1, 4), (3, 1))])
def test_broadcasting_is_undone(backend: CpuRef, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.uniform(0.5, 2.0, shape) for shape in shapes]
    for op in ("add", "sub", "mul", "div", "maximum", "minimum"):
        check_grads(lambda b, x, y, op=op: getattr(b, op)(x, y), arrays, backend)


def test_a_plain_number_may_stand_on_either_side(backend: CpuRef) -> None:
    x = np.random.default_rng(0).uniform(0.5, 2.0, (3, 2))
    check_grads(lambda b, x: b.div(2.0, b.sub(3.0, b.mul(x, 0.5))), [x], backend)


def test_a_source_that_the_loss_ignores_gets_zeros(backend: CpuRef) -> None:
    tape, x, y = Tape(backend), backend.upload(np.ones(3)), backend.upload(np.ones((2, 2)))
    tape.watch(x, y)
    _, dy = tape.gradients(tape.sum(x), [x, y])
    np.testing.assert_array_equal(backend.download(dy), np.zeros((2, 2)))


def test_gradients_of_intermediate_tensors_can_be_asked_for(backend: CpuRef) -> None:
    tape, x = Tape(backend), backend.upload(np.array([1.0, 2.0]))
    tape.watch(x)
    y = tape.mul(x, 3.0)
    dx, dy = tape.gradients(tape.sum(tape.square(y)), [x, y])
    np.testing.assert_array_equal(backend.download(dy), [6.0, 12.0])
    np.testing.assert_array_equal(backend.download(dx), [18.0, 36.0])


def test_accumulated_gradients_equal_returned_ones(backend: CpuRef) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape) for shape in ((5, 3), (3,), (2, 3))]
    ids = backend.upload(np.array([0, 4, 4, 1], np.int32))

    def losses(b: Backend, table: Tensor, bias: Tensor, unused: Tensor) -> Tensor:
        hidden = b.tanh(b.add(b.embedding(table, ids), bias))
        return b.square(b.matmul(hidden, table, transpose_b=True))  # (4, 5): the table is used twice

    parameters = [backend.upload(array) for array in arrays]
    returning, adding = Tape(backend), Tape(backend)
    returning.watch(*parameters)
    want = returning.gradients(returning.sum(losses(returning, *parameters)), parameters)
    adding.watch(*parameters)
    sums = [backend.full(array.shape, 10.0, DType.f64) for array in arrays]
    adding.accumulate(losses(adding, *parameters), dict(zip(parameters, sums, strict=True)))
    for total, gradient in zip(sums, want, strict=True):
        np.testing.assert_allclose(backend.download(total), 10 + backend.download(gradient), rtol=1e-13)
    np.testing.assert_array_equal(backend.download(sums[2]), np.full((2, 3), 10.0))  # nothing to add


def test_each_contribution_goes_into_its_sum_at_once() -> None:
    """The two gradients of a tied table are added to the sum, one after the other, and not to each other."""
    calls: list[str] = []

    class Listening(CpuRef):
        def add(self, a: Any, b: Any) -> Tensor:
            calls.append("add")
            return super().add(a, b)

        def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
            calls.append("matmul")
            return super().matmul(a, b, transpose_a, transpose_b)

        def embedding_grad(self, grad: Tensor, ids: Tensor, rows: int) -> Tensor:
            calls.append("embedding_grad")
            return super().embedding_grad(grad, ids, rows)

        def add_into(self, destination: Tensor, source: Tensor) -> None:
            calls.append("add_into")
            self.assign(destination, super().add(destination, source))

    backend = Listening()
    table, total = backend.upload(np.ones((4, 2))), backend.zeros((4, 2), DType.f64)
    tape = Tape(backend)
    tape.watch(table)
    hidden = tape.embedding(table, backend.upload(np.array([1, 3], np.int32)))
    logits = tape.matmul(hidden, table, transpose_b=True)
    calls.clear()
    tape.accumulate(logits, {table: total})
    assert calls == ["matmul", "matmul", "add_into", "embedding_grad", "add_into"]


def test_a_slice_of_everything_has_no_gradient_op_of_its_own(backend: CpuRef) -> None:
    tape, x = Tape(backend), backend.upload(np.array([[1.0, 2.0]]))
    tape.watch(x)
    (dx,) = tape.gradients(tape.sum(tape.square(tape.slice(x, 1, 0, 2))), [x])
    np.testing.assert_array_equal(backend.download(dx), [[2.0, 4.0]])


def test_sums_are_for_watched_tensors_that_were_not_computed(backend: CpuRef) -> None:
    for wrong, expected in (("computed", "was computed on the tape"), ("unwatched", "was not watched")):
        tape, x, other = Tape(backend), backend.upload(np.ones(2)), backend.upload(np.ones(2))
        tape.watch(x)
        y = tape.mul(x, 2.0)
        with pytest.raises(GradientError, match=expected):
            tape.accumulate(y, {y if wrong == "computed" else other: backend.zeros((2,), DType.f64)})


def test_a_tape_passes_on_what_concerns_the_backend_inside() -> None:
    class Inner(CpuRef):
        traced = False

        @property
        def knobs(self) -> tuple[Knob, ...]:
            return (Knob("lanes", "Parts of a batch.", 2, (1, 2), True),)

        def start_trace(self) -> None:
            self.traced = True

        def stop_trace(self) -> list[Span]:
            return [Span("matmul", "thread 0", 0.0, 1.0)]

    inner = Inner()
    tape = Tape(inner)
    tape.set_matmul_dtype(DType.bf16)
    x = inner.upload(np.array([[1 + 2.0**-9]], np.float32))
    assert inner.download(tape.matmul(x, x)) == 1.0
    assert tape.knobs == inner.knobs
    with pytest.raises(UsageError, match="has no knob `lane`"):
        tape.set_knob("lane", 1)
    tape.start_trace()
    assert inner.traced
    assert tape.stop_trace() == inner.stop_trace()


def test_a_tape_around_a_tape_gives_second_derivatives(backend: CpuRef) -> None:
    x = backend.upload(np.array([0.5, -1.5]))
    outer = Tape(backend)
    outer.watch(x)
    inner = Tape(outer)
    inner.watch(x)
    (first,) = inner.gradients(inner.sum(inner.mul(inner.square(x), x)), [x])
    (second,) = outer.gradients(outer.sum(first), [x])
    np.testing.assert_allclose(backend.download(second), 6 * np.array([0.5, -1.5]))


def test_an_op_without_a_second_derivative_refuses(backend: CpuRef) -> None:
    x = backend.upload(np.ones((2, 3)))
    outer = Tape(backend)
    outer.watch(x)
    inner = Tape(outer)
    inner.watch(x)
    loss = inner.sum(inner.softmax(x))
    with pytest.raises(GradientError, match="`softmax_grad` is used on a watched tensor, but it is a gradient itself"):
        inner.gradients(loss, [x])


def test_writing_into_a_watched_tensor_is_refused(backend: CpuRef) -> None:
    tape, x = Tape(backend), backend.upload(np.ones(2))
    tape.watch(x)
    with pytest.raises(GradientError, match=r"`assign` .* writes in place"):
        tape.assign(x, backend.zeros((2,), DType.f64))


def test_the_second_output_of_an_op_has_no_gradient_and_says_so(backend: CpuRef) -> None:
    tape, q = Tape(backend), backend.upload(np.ones((1, 1, 2, 2)))
    tape.watch(q)
    _, log_sum_exp = tape.attention(q, q, q)
    with pytest.raises(GradientError, match="`sum` uses an output of `attention` that has no gradient"):
        tape.sum(log_sum_exp)


def test_a_watched_argument_that_a_rule_leaves_out_is_refused(backend: CpuRef) -> None:
    tape, x, table = Tape(backend), backend.upload(np.ones((2, 4))), backend.upload(np.ones((2, 2)))
    tape.watch(x, table)
    loss = tape.sum(tape.rotary(x, table, table))
    with pytest.raises(GradientError, match="`rotary` has no gradient for its argument 2"):
        tape.gradients(loss, [x])


@pytest.mark.parametrize("use", ["integer", "unwatched loss", "unwatched source", "vector loss"])
def test_misuse_is_explained(backend: CpuRef, use: str) -> None:
    tape, x, other = Tape(backend), backend.upload(np.ones(3)), backend.upload(np.ones(3))
    expected = {
        "integer": "only floating tensors have gradients",
        "unwatched loss": "does not depend on a watched tensor",
        "unwatched source": "was not watched",
        "vector loss": "a gradient needs a single number",
    }[use]

    def misuse() -> None:
        if use == "integer":
            tape.watch(backend.upload(np.ones(2, np.int32)))
        tape.watch(x)
        loss = tape.sum(other if use == "unwatched loss" else x)
        tape.gradients(tape.mul(x, 2.0) if use == "vector loss" else loss, [other])

    with pytest.raises(GradientError, match=expected):
        misuse()


def test_check_grads_finds_a_wrong_gradient(backend: CpuRef) -> None:
    class Wrong(CpuRef):
        def softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
            return self.mul(super().softmax_grad(grad, out), 1.001)

    with pytest.raises(GradientError, match=r"input 0 is off by .*e-0"):
        check_grads(lambda b, x: b.softmax(x), [np.random.default_rng(0).standard_normal((3, 4))], Wrong())


class CountingCpuRef(CpuRef):
    def __init__(self) -> None:
        self.products = 0

    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        self.products += 1
        return super().matmul(a, b, transpose_a, transpose_b)


def test_a_checkpoint_recomputes_and_finds_captured_weights() -> None:
    backend = CountingCpuRef()
    generator = np.random.default_rng(0)
    x, weight = (backend.upload(generator.standard_normal(shape)) for shape in ((3, 4), (4, 4)))
    stream = RandomStream(1, 2, backend.full((), 3, DType.i32), backend.arange(3))

    def block(b: Backend, h: Tensor) -> Tensor:
        return b.dropout(b.tanh(b.matmul(h, weight)), 0.5, stream)

    results, products = [], []
    for recompute in (False, True):
        backend.products = 0
        tape = Tape(backend)
        tape.watch(x, weight)
        h = checkpoint(tape, block, x) if recompute else block(tape, x)
        results.append([backend.download(g) for g in tape.gradients(tape.sum(tape.square(h)), [x, weight])])
        products.append(backend.products)
    assert products == [3, 4]  # one product more: the forward pass again
    for kept, recomputed in zip(*results, strict=True):
        np.testing.assert_array_equal(kept, recomputed)


def test_a_checkpoint_outside_a_tape_just_computes(backend: CpuRef) -> None:
    y = checkpoint(backend, lambda b, x: b.mul(x, 2.0), backend.upload(np.ones(2)))
    np.testing.assert_array_equal(backend.download(y), [2.0, 2.0])


def test_activations_are_freed_on_the_way_back(backend: CpuRef) -> None:
    """When the first factor's gradient is computed, the results after it are gone already."""
    late: list[weakref.ref[Tensor]] = []
    seen: list[bool] = []

    class Watching(CpuRef):
        def exp(self, x: Tensor) -> Tensor:
            out = super().exp(x)
            late.append(weakref.ref(out))
            return out

        def neg(self, x: Tensor) -> Tensor:
            seen.append(bool(late) and late[-1]() is None)
            return super().neg(x)

    tape = Tape(Watching())
    x = tape.upload(np.array([1.0, 2.0]))
    tape.watch(x)
    tape.gradients(tape.sum(tape.exp(tape.sqrt(tape.neg(x)))), [x])  # `neg` runs again in its own gradient
    assert seen == [False, True]
