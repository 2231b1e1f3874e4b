"""Recorded steps: what is read anew at each call, what is kept, and what a step may do."""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("llvmlite")

from tests.model.steps import TrainingStep, make_batch, make_model

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.random import RandomStream
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def backend() -> Cpu:
    return Cpu(threads=2)


def numbers(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(backend: Cpu, step: Callable[..., Sequence[Tensor]], *inputs: Array) -> list[Array]:
    return [backend.download(tensor) for tensor in backend.record(step, inputs, name="step")(*inputs)]


def test_weights_are_packed_once_a_call_and_read_anew_at_each(backend: Cpu) -> None:
    weight = backend.upload(numbers(70, 40))
    x = numbers(9, 70)

    def step(t: Tensor) -> list[Tensor]:
        doubled = backend.mul(weight, 2.0)  # depends on the weight alone
        return [backend.matmul(t, weight), backend.matmul(t, doubled)]

    program = backend.record(step, [x], name="hoisted")
    for seed in (1, 2):
        value = numbers(70, 40, seed=seed)
        backend.assign(weight, backend.upload(value))
        once, twice = map(backend.download, program(x))
        np.testing.assert_allclose(once, x @ value, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(twice, 2 * (x @ value), rtol=1e-4, atol=1e-4)


def test_what_depends_on_captured_tensors_alone_is_computed_once_for_all_chunks(backend: Cpu) -> None:
    weight, total = backend.upload(numbers(8, 8)), backend.zeros((8, 8))
    batch = numbers(1024, 8)

    def step(x: Tensor) -> list[Tensor]:
        backend.add_into(total, backend.matmul(x, backend.mul(x, backend.sum(backend.exp(weight), 0)), True))
        return []

    program = backend.record(step, [batch], name="chunks", additive=True)
    program(batch)
    backend.start_trace()
    program(batch)
    spans = [span for span in backend.stop_trace() if "exp" in span.name]
    assert [span.track for span in spans] == ["shared"]
    want = batch.T @ (batch * np.exp(numbers(8, 8)).sum(0))
    np.testing.assert_allclose(backend.download(total), 2 * want, rtol=1e-4, atol=1e-2)


def test_results_are_valid_until_the_next_call(backend: Cpu) -> None:
    x, y = numbers(5), numbers(5, seed=1)
    program = backend.record(lambda t: [backend.mul(t, 2.0), t, backend.sum(t)], [x], name="results")
    first = program(x)
    other = backend.record(lambda t: [backend.mul(t, 3.0)], [y], name="another")
    other(y)
    backend.exp(backend.upload(y))
    np.testing.assert_array_equal(backend.download(first[0]), 2 * x)
    np.testing.assert_array_equal(backend.download(first[1]), x)
    kept = backend.mul(first[0], 1.0)
    np.testing.assert_array_equal(backend.download(program(y)[0]), 2 * y)
    np.testing.assert_array_equal(backend.download(kept), 2 * x)


def test_results_may_be_captured_tensors_views_and_the_same_twice(backend: Cpu) -> None:
    weight = backend.upload(numbers(3))
    x = numbers(4, 3)

    def step(t: Tensor) -> list[Tensor]:
        double = backend.mul(t, 2.0)
        rows = [backend.slice(double, 0, row, row + 1) for row in (0, 2)]
        return [weight, double, double, *rows, backend.transpose(double, (1, 0)), backend.broadcast_to(weight, (2, 3))]

    w, one, two, first, third, turned, wide = run(backend, step, x)
    np.testing.assert_array_equal(w, numbers(3))
    np.testing.assert_array_equal(one, 2 * x)
    np.testing.assert_array_equal(two, 2 * x)
    np.testing.assert_array_equal(first, 2 * x[:1])
    np.testing.assert_array_equal(third, 2 * x[2:3])
    np.testing.assert_array_equal(turned, 2 * x.T)
    np.testing.assert_array_equal(wide, [numbers(3)] * 2)


def test_a_step_that_looks_at_its_sums_gets_the_whole_batch(backend: Cpu) -> None:
    total, seen = backend.zeros((3,)), backend.zeros((3,))
    batch = numbers(1024, 3)

    def step(x: Tensor) -> list[Tensor]:
        backend.add_into(total, backend.sum(x, 0))
        backend.assign(seen, backend.mul(total, 2.0))
        return [backend.max(total)]

    program = backend.record(step, [batch], name="looks", additive=True)
    for calls in (1, 2):
        (largest,) = program(batch)
        np.testing.assert_allclose(backend.download(total), calls * batch.sum(0), rtol=1e-4)
        np.testing.assert_array_equal(backend.download(seen), 2 * backend.download(total))
        assert backend.download(largest) == backend.download(total).max()


def test_additive_sums_of_integers_are_exact(backend: Cpu) -> None:
    count = backend.full((2,), -7, DType.i32)
    batch = np.random.default_rng(0).integers(-1000, 1000, (1024, 2)).astype(np.int32)

    def step(x: Tensor) -> list[Tensor]:
        sums = backend.sum(backend.cast(x, DType.f32), 0)
        backend.add_into(count, backend.cast(sums, DType.i32))
        return [backend.cast(backend.sum(sums), DType.i32)]

    (total,) = run_additive(backend, step, batch)
    np.testing.assert_array_equal(backend.download(count), batch.sum(0) - 7)
    assert total == batch.sum()


def run_additive(backend: Cpu, step: Callable[..., Sequence[Tensor]], *inputs: Array) -> list[Array]:
    program = backend.record(step, inputs, name="step", additive=True)
    return [backend.download(tensor) for tensor in program(*inputs)]


@pytest.mark.parametrize("additive", [False, True])
def test_a_step_without_inputs(backend: Cpu, additive: bool) -> None:
    state = backend.upload(numbers(4))

    def step() -> list[Tensor]:
        backend.add_into(state, backend.full((4,), 1.0))
        return [backend.sum(backend.full((2, 2), 3.0))]

    program = backend.record(step, [], name="alone", additive=additive)
    for _ in range(2):
        assert backend.download(program()[0]) == 12
    np.testing.assert_array_equal(backend.download(state), (numbers(4) + 1) + 1)


def test_a_step_that_does_nothing(backend: Cpu) -> None:
    x = numbers(3)
    assert backend.record(lambda t: [], [x], name="nothing")(x) == []
    assert backend.record(lambda t: [], [x], name="nothing", additive=True)(x) == []
    np.testing.assert_array_equal(run(backend, lambda t: [t], x)[0], x)
    assert run(backend, lambda t: [backend.exp(t)], np.zeros((0, 3), np.float32))[0].shape == (0, 3)


@pytest.mark.parametrize("additive", [False, True])
def test_repeating_is_calling_again(backend: Cpu, additive: bool) -> None:
    batch = numbers(512, 3)
    totals = [backend.zeros((3,)) for _ in range(2)]

    def step(x: Tensor, total: Tensor) -> list[Tensor]:
        backend.add_into(total, backend.sum(x, 0))
        return [backend.sum(x)]

    programs = [
        backend.record(lambda x, total=total: step(x, total), [batch], name="sum", additive=additive)
        for total in totals
    ]
    repeated = backend.download(programs[0].repeat(3, batch)[0])
    called = [backend.download(programs[1](batch)[0]) for _ in range(3)][-1]
    assert repeated == called
    np.testing.assert_array_equal(*map(backend.download, totals))
    with pytest.raises(OpError):
        programs[0].repeat(0, batch)


def test_numbers_and_tables_in_a_step_are_constants(backend: Cpu) -> None:
    factor = 2.5
    x = numbers(4)

    def step(t: Tensor) -> list[Tensor]:
        table = backend.constant(np.arange(4.0), DType.f32)
        return [backend.add(backend.mul(t, factor), table), backend.full((2,), factor)]

    program = backend.record(step, [x], name="constants")
    factor = 99.0
    for scale in (1, 2):
        got, filled = map(backend.download, program(scale * x))
        np.testing.assert_array_equal(got, scale * x * np.float32(2.5) + np.arange(4, dtype=np.float32))
        np.testing.assert_array_equal(filled, [2.5, 2.5])


def third_party(b: Backend, x: Tensor, ids: Tensor, table: Tensor, state: Tensor) -> list[Tensor]:
    """What somebody composes of ops from every family. x (4, 6, 8), ids (4, 6) i32, table (11, 8), state (8,)."""
    looked_up = b.add(b.embedding(table, ids), b.mul(x, 0.5))
    normal = b.layer_norm(looked_up, state, None)
    heads = b.transpose(b.reshape(normal, (4, 6, 2, 4)), (0, 2, 1, 3))
    mixed, _ = b.attention(heads, heads, b.tanh(heads), 3.0)
    merged = b.reshape(b.transpose(mixed, (0, 2, 1, 3)), (24, 8))
    stream = RandomStream(3, 1, b.full((), 4, DType.i32), b.arange(24))
    scores = b.matmul(b.dropout(merged, 0.25, stream), table, transpose_b=True)
    losses = b.cross_entropy(scores, b.reshape(ids, (24,)))
    best, places = b.top_k(b.softmax(scores), 3)
    chosen = b.gather(scores, places, 1)
    masked = b.where(b.greater(chosen, 0.0), b.clamp(chosen, -1.0, 1.0), b.abs(chosen))
    parts = b.cat([b.slice(masked, 1, 0, 1), b.square(b.slice(masked, 1, 1, 3))], 1)
    b.add_into(state, b.mean(b.reshape(b.rms_norm(merged, state), (24, 8)), 0))
    scale = b.clip_coefficient(b.global_norm([parts, best]), 0.7)
    rounded = b.cast(b.cast(b.mul(parts, scale), DType.bf16), DType.f32)
    b.assign(state, b.sub(state, b.mul(b.max(rounded), 0.1)))
    return [losses, rounded, b.sum(b.log_softmax(scores), 0), b.cast(b.argmax(scores), DType.f32), b.all_finite(state)]


def test_steps_of_third_parties_are_recorded(backend: Cpu) -> None:
    ids = np.random.default_rng(1).integers(0, 11, (4, 6)).astype(np.int32)
    table = backend.upload(numbers(11, 8, seed=2))
    states = [backend.upload(1 + 0.1 * numbers(8)) for _ in range(2)]
    program = backend.record(
        lambda x, i: third_party(backend, x, i, table, states[0]), [numbers(4, 6, 8), ids], name="composed"
    )
    for seed in (3, 4):
        x = numbers(4, 6, 8, seed=seed)
        got = [*map(backend.download, program(x, ids)), backend.download(states[0])]
        called = third_party(backend, backend.upload(x), backend.upload(ids), table, states[1])
        for one, other in zip(got, [*called, states[1]], strict=True):
            np.testing.assert_array_equal(one, backend.download(other))


@pytest.mark.parametrize("additive", [False, True])
def test_an_error_in_a_step_leaves_the_backend_as_it_was(backend: Cpu, additive: bool) -> None:
    x = numbers(5, 3)
    total = backend.upload(numbers(3))

    def wrong(t: Tensor) -> list[Tensor]:
        backend.add_into(total, backend.sum(t, 0))
        return [backend.matmul(t, t)]

    with pytest.raises(ShapeError, match="matmul"):
        backend.record(wrong, [x], name="wrong", additive=additive)
    np.testing.assert_array_equal(backend.download(total), numbers(3))
    np.testing.assert_array_equal(backend.download(backend.mul(backend.upload(x), 2.0)), 2 * x)
    np.testing.assert_array_equal(run(backend, lambda t: [backend.mul(t, 2.0)], x)[0], 2 * x)


def test_two_backends_do_not_disturb_each_other() -> None:
    one, other = Cpu(threads=2), Cpu(threads=3)
    x = numbers(40, 8)
    weight = other.upload(numbers(8))

    def step(t: Tensor) -> list[Tensor]:
        other.mul(weight, 2.0)  # runs at once: it is no part of the recording
        return [one.exp(t)]

    first = one.record(step, [x], name="first")
    second = other.record(lambda t: [other.mul(t, weight)], [x], name="second")
    for _ in range(2):
        a, b = first(x)[0], second(x)[0]
        np.testing.assert_allclose(one.download(a), np.exp(x), rtol=1e-6)
        np.testing.assert_array_equal(other.download(b), x * numbers(8))
    one.close()
    np.testing.assert_array_equal(other.download(second(x)[0]), x * numbers(8))
    other.close()


def test_several_python_threads_use_one_backend(backend: Cpu) -> None:
    """Each records, calls ops and runs programs, its own and one that all share."""
    x, weight = numbers(64, 16), backend.upload(numbers(16, 16))
    want = backend.download(backend.tanh(backend.matmul(backend.upload(x), weight)))
    total = backend.zeros((16,))
    shared = backend.record(lambda t: backend.add_into(total, backend.sum(t, 0)) or [], [x], name="shared")
    wrong: list[str] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(20):
            program = backend.record(lambda t: [backend.tanh(backend.matmul(t, weight))], [x], name="own")
            called = backend.tanh(backend.matmul(backend.upload(x), weight))
            for got in (called, program(x)[0]):
                if backend.download(got).tobytes() != want.tobytes():
                    wrong.append("differs")
            shared(np.ones_like(x))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(backend.download(total), np.full(16, 4 * 20 * 64.0))


def _in_child(backend: Cpu, step: TrainingStep, queue: Any) -> None:
    batch = make_batch(6)
    queue.put({name: array.tobytes() for name, array in step.recorded(batch).items()})
    backend.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_goes_on_with_the_backend() -> None:
    backend = Cpu(threads=3)
    model, batch = make_model("dropout"), make_batch(6)
    want = {name: array.tobytes() for name, array in TrainingStep.of(backend, model).recorded(batch).items()}
    step = TrainingStep.of(backend, model)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(backend, step, queue))
    child.start()
    got = queue.get(timeout=60)
    child.join(timeout=60)
    assert child.exitcode == 0
    assert got == want
    assert {name: array.tobytes() for name, array in step.recorded(batch).items()} == want
    backend.close()


def test_a_closed_backend_starts_again(backend: Cpu) -> None:
    x = numbers(100)
    program = backend.record(lambda t: [backend.exp(t)], [x], name="again")
    want = backend.download(program(x)[0])
    for _ in range(2):
        backend.close()
        np.testing.assert_array_equal(backend.download(program(x)[0]), want)
