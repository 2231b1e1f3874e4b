"""Views within recorded steps: what they show, what they cost, and that writing elsewhere does not change them."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from tests.cpu.backends import cpu

from alpha_core.dtype import DType
from alpha_core.errors import BackendError
from alpha_core.recording.step import Recording
from alpha_core.recording.storage import view_of
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Cpu:
    return cpu(tmp_path_factory.getbasetemp() / "kernels")


def _run(backend: Cpu, function: Callable[..., Sequence[Tensor]], *arrays: Array) -> list[Array]:
    return [backend.download(tensor) for tensor in backend.record(function, arrays, name="step")(*arrays)]


def _launches(backend: Cpu, function: Callable[[], Tensor]) -> int:
    """Returns how many kernels a recorded function launches until its result is contiguous."""
    recording = backend.recorder = Recording()
    try:
        backend.contiguous(function())
    finally:
        backend.recorder = None
    return len(recording.launches)


def _numbers(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_chains_of_views_show_what_numpy_shows(backend: Cpu, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    steps: list[Callable[[Tensor], Tensor]] = []
    want: Array = array
    for kind in data.draw(st.lists(st.sampled_from(["transpose", "slice", "reshape", "broadcast"]), max_size=4)):
        ndim = want.ndim
        if kind == "transpose":
            axes = tuple(data.draw(st.permutations(range(ndim))))
            steps.append(partial(backend.transpose, axes=axes))
            want = want.transpose(axes)
        elif kind == "slice":
            axis = data.draw(st.integers(0, ndim - 1))
            start = data.draw(st.integers(0, want.shape[axis] - 1))
            stop = data.draw(st.integers(start + 1, want.shape[axis]))
            steps.append(partial(backend.slice, axis=axis, start=start, stop=stop))
            want = want.take(range(start, stop), axis)
        elif kind == "reshape":
            lengths = data.draw(st.permutations(_factors(want.size)))
            steps.append(partial(backend.reshape, shape=tuple(lengths)))
            want = want.reshape(lengths)
        else:
            wider = (2, *want.shape)
            steps.append(partial(backend.broadcast_to, shape=wider))
            want = np.broadcast_to(want, wider)
    other = _numbers(*want.shape)

    def function(x: Tensor, y: Tensor) -> list[Tensor]:
        for step in steps:
            x = step(x)
        return [x, backend.add(x, y)]

    eager = [backend.download(t) for t in function(backend.upload(array), backend.upload(other))]
    for got in (eager, _run(backend, function, array, other)):
        np.testing.assert_array_equal(got[0], want)
        np.testing.assert_array_equal(got[1], want + other)


def _factors(size: int) -> list[int]:
    found = []
    for prime in (2, 3, 5):
        while size % prime == 0:
            found.append(prime)
            size //= prime
    return [*found, 1]


@pytest.mark.parametrize("dtype", list(DType), ids=lambda dtype: dtype.value)
@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (0, 2, 1), (2, 0, 1)], ids=str)
def test_transposed_copies(backend: Cpu, dtype: DType, axes: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(-100, 100, (33, 18, 37)).astype(np.float32)
    got = backend.download(backend.transpose(backend.upload(array, dtype), axes))
    np.testing.assert_array_equal(got, backend.download(backend.upload(array, dtype)).transpose(axes))


def test_movement_in_a_recorded_step_launches_nothing(backend: Cpu) -> None:
    x = backend.upload(_numbers(2, 8, 12))
    assert _launches(backend, lambda: backend.reshape(backend.slice(x, 0, 1, 2), (96,))) == 0
    split = _launches(backend, lambda: backend.transpose(backend.reshape(x, (2, 8, 3, 4)), (0, 2, 1, 3)))
    assert split == 1  # the copy at the end


def test_gradients_of_slices_are_joined_in_one_launch(backend: Cpu) -> None:
    parts = [backend.upload(_numbers(4, width)) for width in (3, 5, 2)]

    def function() -> Tensor:
        pieces = [backend.slice_grad(t, 1, start, 12) for t, start in zip(parts, (4, 7, 1), strict=True)]
        return backend.add(backend.add(pieces[0], pieces[1]), pieces[2])

    assert _launches(backend, function) == 1
    want = np.zeros((4, 12), np.float32)
    for tensor, start in zip(parts, (4, 7, 1), strict=True):
        want[:, start : start + tensor.shape[1]] = backend.download(tensor)
    np.testing.assert_array_equal(_run(backend, lambda: [function()])[0], want)


def test_gradients_of_slices_that_lie_side_by_side_are_not_moved(backend: Cpu) -> None:
    whole = backend.upload(_numbers(2, 4, 15))

    def function() -> Tensor:
        parts = [backend.slice(whole, 2, start, start + 5) for start in (0, 5, 10)]
        a, b, c = (backend.slice_grad(t, 2, start, 15) for t, start in zip(parts, (0, 5, 10), strict=True))
        return backend.add(backend.add(c, a), b)

    assert _launches(backend, function) == 0
    np.testing.assert_array_equal(_run(backend, lambda: [function()])[0], backend.download(whole))


def test_overlapping_gradients_of_slices_are_added(backend: Cpu) -> None:
    x, y = _numbers(3, 4), _numbers(3, 4) + 1

    def function(s: Tensor, t: Tensor) -> list[Tensor]:
        return [backend.add(backend.slice_grad(s, 1, 0, 6), backend.slice_grad(t, 1, 2, 6))]

    want = np.pad(x, ((0, 0), (0, 2))) + np.pad(y, ((0, 0), (2, 0)))
    np.testing.assert_array_equal(_run(backend, function, x, y)[0], want)


@pytest.mark.parametrize("accumulated", [False, True])
def test_views_keep_what_they_showed_when_their_source_is_written(backend: Cpu, accumulated: bool) -> None:
    start = _numbers(4, 6)
    state = backend.upload(start)

    def function(t: Tensor) -> list[Tensor]:
        turned = backend.transpose(state, (1, 0))
        part = backend.slice(state, 0, 1, 3)
        placed = backend.slice_grad(part, 0, 0, 5)
        if accumulated:
            backend.add_into(state, t)
        else:
            backend.assign(state, t)
        return [turned, part, placed, backend.mul(turned, 2.0)]

    x = _numbers(4, 6) + 3
    program = backend.record(function, [x], name="write")
    before = start
    for _ in range(3):
        turned, part, placed, doubled = map(backend.download, program(x))
        np.testing.assert_array_equal(turned, before.T)
        np.testing.assert_array_equal(part, before[1:3])
        np.testing.assert_array_equal(placed, np.pad(before[1:3], ((0, 3), (0, 0))))
        np.testing.assert_array_equal(doubled, 2 * before.T)
        before = before + x if accumulated else x
        np.testing.assert_array_equal(backend.download(state), before)


def test_writing_to_a_view_does_not_change_its_source(backend: Cpu) -> None:
    def function(x: Tensor) -> list[Tensor]:
        source = backend.mul(x, 1.0)
        view = backend.reshape(source, (6,))
        row = backend.broadcast_to(backend.slice(source, 0, 0, 1), (2, 3))
        backend.assign(view, backend.full((6,), 7.0))
        backend.add_into(row, source)
        return [source, view, row]

    x = _numbers(2, 3)
    source, view, row = _run(backend, function, x)
    np.testing.assert_array_equal(source, x)
    np.testing.assert_array_equal(view, np.full(6, 7.0))
    np.testing.assert_array_equal(row, x + x[:1])


def test_a_tensor_can_be_assigned_a_view_of_itself(backend: Cpu) -> None:
    state = backend.upload(_numbers(5, 5))
    want = backend.download(state)

    def function() -> list[Tensor]:
        backend.assign(state, backend.transpose(state, (1, 0)))
        return []

    program = backend.record(function, [], name="turn")
    for _ in range(3):
        program()
        want = want.T
        np.testing.assert_array_equal(backend.download(state), want)


def test_a_filled_tensor_can_be_written_in_a_recorded_step(backend: Cpu) -> None:
    def function(x: Tensor) -> list[Tensor]:
        total = backend.zeros((2, 3))
        backend.add_into(total, x)
        backend.add_into(total, x)
        return [total]

    x = _numbers(2, 3)
    program = backend.record(function, [x], name="sum")
    for _ in range(2):
        np.testing.assert_array_equal(backend.download(program(x)[0]), x + x)


def test_assignment_keeps_the_place_in_memory(backend: Cpu) -> None:
    state = backend.zeros((3, 4))
    place = view_of(state)
    backend.assign(state, backend.transpose(backend.upload(_numbers(4, 3)), (1, 0)))
    backend.add_into(state, state)
    assert view_of(state) is place
    np.testing.assert_array_equal(backend.download(state), 2 * _numbers(4, 3).T)


def test_an_upload_in_a_recorded_step_is_a_constant_of_the_program(backend: Cpu) -> None:
    x = _numbers(3)
    program = backend.record(lambda t: [backend.mul(t, backend.upload(x + 1))], [x], name="constant")
    for scale in (1.0, 2.0):
        got = backend.download(program((scale * x).astype(np.float32))[0])
        np.testing.assert_array_equal(got, (scale * x).astype(np.float32) * (x + 1))


def test_download_in_a_recorded_step_says_why_not(backend: Cpu) -> None:
    kept: list[Tensor] = []

    def looks(x: Tensor) -> list[Tensor]:
        kept.append(backend.exp(x))
        return [backend.upload(backend.download(x))]

    with pytest.raises(BackendError, match="recorded"):
        backend.record(looks, [_numbers(3)], name="looks")
    with pytest.raises(BackendError, match="intermediate"):
        backend.download(kept[0])
