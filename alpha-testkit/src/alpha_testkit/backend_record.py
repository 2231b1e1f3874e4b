"""Tests of `record`: a program computes, bit for bit, what calling its function does."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest

from alpha_autograd import Tape
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.random import RandomStream
from alpha_core.tensor import Tensor
from alpha_testkit.backend_base import BackendTests, by_op
from alpha_testkit.compare import Tolerance, assert_close
from alpha_testkit.conformance import each
from alpha_testkit.op_cases import Case
from alpha_testkit.op_cases.case import Arguments, Array, leaves

__all__ = ["RecordTests"]

SPLIT = Tolerance(16, "a backend may add the parts of a split batch in another order", of_largest=True)


def _dtypes(kit: type[BackendTests]) -> dict[str, DType]:
    return {dtype.value: dtype for dtype in kit.compute_dtypes if dtype is not DType.bf16}


@attrs.frozen(eq=False)
class _Input:
    """Stands in the arguments of a recorded call for the input of this number."""

    number: int


class RecordTests(BackendTests, kit=True):
    """Programs and calls of the same function agree, whatever changes between calls."""

    @each(by_op())
    def test_record(self, case: list[Case]) -> None:
        """Each op recorded equals the op called, for two sets of inputs in turn, also where it writes in place."""
        for one in case:
            first, second = one.host(), one.host("second")
            template, inputs = _template(one, first)
            recorded, called = (one.upload(self.backend, first) for _ in range(2))
            program = self.backend.record(
                lambda *tensors, one=one, recorded=recorded, template=template: self._run(
                    one, _filled(recorded, template, tensors)
                ),
                inputs,
                name=one.op.name,
            )
            for host in (first, second, first):
                given = _template(one, host)[1]
                got = self.download_all(program(*given))
                tensors = [self.backend.upload(array) for array in given]
                want = self.download_all(self._run(one, _filled(called, template, tensors)))
                self.check_bits(f"sample `{one.sample.name}`: the program's result", got, want)
                written = self.download_all(leaves([recorded[name] for name in one.op.spec.writes]))
                wanted = self.download_all(leaves([called[name] for name in one.op.spec.writes]))
                self.check_bits(f"sample `{one.sample.name}`: what the program wrote", written, wanted)

    @each(_dtypes)
    def test_record_accumulates(self, case: DType) -> None:
        """`add_into` a captured tensor adds up over calls."""
        generator = np.random.default_rng(0)
        batches = [generator.standard_normal((5, 7)).astype(case.numpy) for _ in range(3)]

        def accumulate(total: Tensor, x: Tensor) -> list[Tensor]:
            self.backend.add_into(total, self.backend.sum(x, 0))
            return [self.backend.sum_of_squares(x)]

        recorded, called = (self.backend.zeros((7,), case) for _ in range(2))
        program = self.backend.record(lambda x: accumulate(recorded, x), batches[:1], name="accumulate")
        for batch in batches:
            got, want = program(batch), accumulate(called, self.backend.upload(batch))
            self.check_bits("the output", self.download_all(got), self.download_all(want))
            self.check_bits("the total", self.download_all([recorded]), self.download_all([called]))

    @each(_dtypes)
    def test_record_reads_captured_tensors_anew(self, case: DType) -> None:
        """A captured tensor that is written between calls is read with its new contents."""
        weight = self.backend.full((3,), 2.0, case)
        x = np.arange(3, dtype=case.numpy)
        program = self.backend.record(lambda t: [self.backend.mul(t, weight)], [x], name="scale")
        for value in (2.0, 3.0, -1.0):
            self.backend.assign(weight, self.backend.full((3,), value, case))
            np.testing.assert_array_equal(self.backend.download(program(x)[0]), x * value)

    @each(_dtypes)
    def test_record_keeps_the_order_of_reads_and_writes(self, case: DType) -> None:
        """What was computed from a tensor before it is written keeps the old contents, even through a reshape."""
        x = np.arange(6, dtype=case.numpy).reshape(2, 3)
        state = self.backend.upload(10 * np.ones((2, 3)), case)

        def function(t: Tensor) -> list[Tensor]:
            view = self.backend.reshape(state, (3, 2))
            before = self.backend.mul(state, 2.0)
            self.backend.assign(state, self.backend.add(state, t))
            between = self.backend.mul(state, 2.0)
            self.backend.add_into(state, t)
            return [view, before, between, self.backend.mul(state, 2.0)]

        program = self.backend.record(function, [x], name="order")
        for call in range(3):
            start = 10 + 2 * call * x
            view, before, between, after = self.download_all(program(x))
            np.testing.assert_array_equal(view, start.reshape(3, 2))
            np.testing.assert_array_equal(before, 2 * start)
            np.testing.assert_array_equal(between, 2 * (start + x))
            np.testing.assert_array_equal(after, 2 * (start + 2 * x))
            np.testing.assert_array_equal(self.backend.download(state), start + 2 * x)

    @each(_dtypes)
    def test_record_draws_dropout_anew(self, case: DType) -> None:
        """The random step is a captured tensor: another step, another mask, the same as when called."""
        x = np.ones((4, 33), case.numpy)
        rows = self.backend.upload(np.arange(4, dtype=np.int32))
        step = self.backend.upload(np.array(0, np.int32))
        stream = RandomStream(7, 1, step, rows)
        program = self.backend.record(lambda t: [self.backend.dropout(t, 0.5, stream)], [x], name="dropout")
        seen = []
        for value in (0, 1, 2):
            self.backend.assign(step, self.backend.upload(np.array(value, np.int32)))
            seen.append(self.backend.download(program(x)[0]))
            want = self.backend.download(self.backend.dropout(self.backend.upload(x), 0.5, stream))
            self.check_bits(f"dropout in step {value}", [seen[-1]], [want])
        assert not np.array_equal(seen[0], seen[1])
        assert not np.array_equal(seen[1], seen[2])

    @each(_dtypes)
    def test_record_training_steps(self, case: DType) -> None:
        """Two programs that share parameters and gradients, as the trainer uses them, equal the same calls."""
        recorded, called = (_Network(self.backend, case) for _ in range(2))
        batches = [_batch(number) for number in range(3)]
        accumulate = self.backend.record(recorded.accumulate, batches[0], name="accumulate", additive=False)
        update = self.backend.record(recorded.update, [np.array(0.1, case.numpy)], name="update")
        for number, batch in enumerate(batches):
            for network in (recorded, called):
                network.set_step(number)
            rate = np.array(0.1 / (1 + number), case.numpy)
            losses = accumulate(*batch), called.accumulate(*map(self.backend.upload, batch))
            self.check_bits(f"the loss of step {number}", *map(self.download_all, losses))
            update(rate)
            called.update(self.backend.upload(rate))
            states = self.download_all(recorded.state), self.download_all(called.state)
            self.check_bits(f"the state after step {number}", *states)

    @each(_dtypes)
    def test_record_additive(self, case: DType) -> None:
        """An additive program gives the sums over the whole batch, however the backend splits it."""
        recorded, called = (_Network(self.backend, case) for _ in range(2))
        batch = _batch(0, size=37)
        program = self.backend.record(recorded.accumulate, batch, name="additive", additive=True)
        for _ in range(2):
            losses = program(*batch), called.accumulate(*map(self.backend.upload, batch))
            pairs = [*zip(*losses, strict=True), *zip(recorded.gradients, called.gradients, strict=True)]
            for got, want in pairs:
                assert_close(
                    "an additive sum",
                    self.backend.download(got),
                    self.backend.download(want).astype(np.float64),
                    case,
                    SPLIT,
                )

    def test_repeat(self) -> None:
        """A program repeated n times is the program called n times: its state goes on from run to run."""
        x = np.array([1.0, -2.0, 0.5], np.float32)
        repeated, called = (self.backend.zeros((3,)) for _ in range(2))
        counts = [self.backend.zeros((1,), DType.i32) for _ in range(2)]
        programs = []
        for total, count in zip((repeated, called), counts, strict=True):

            def step(t: Tensor, total: Tensor = total, count: Tensor = count) -> list[Tensor]:
                self.backend.assign(total, self.backend.add(self.backend.mul(total, 0.5), t))
                self.backend.add_into(count, self.backend.full((1,), 1, DType.i32))
                return [self.backend.mul(total, 3.0)]

            programs.append(self.backend.record(step, [x], name="decay"))
        for times in (1, 5, 2):
            got = self.download_all(programs[0].repeat(times, x))
            want = [self.download_all(programs[1](x)) for _ in range(times)][-1]
            self.check_bits(f"the result of {times} runs", got, want)
            self.check_bits("the state", self.download_all([repeated]), self.download_all([called]))
        assert [int(self.backend.download(count)[0]) for count in counts] == [8, 8]
        with pytest.raises(OpError, match="decay"):
            programs[0].repeat(0, x)
        with pytest.raises(ShapeError, match="decay"):
            programs[0].repeat(2, x[:2])

    def test_record_refuses_other_inputs(self) -> None:
        """Inputs of another shape, dtype or number than the examples raise `ShapeError`."""
        program = self.backend.record(
            lambda x, ids: [self.backend.embedding(x, ids)],
            [np.zeros((5, 3), np.float32), np.zeros(4, np.int32)],
            name="lookup",
        )
        table, ids = np.ones((5, 3), np.float32), np.zeros(4, np.int32)
        assert program(table, ids)[0].shape == (4, 3)
        for wrong in ((table, ids[:3]), (table.T, ids), (table.astype(np.float64), ids), (table,), (table, ids, ids)):
            with pytest.raises(ShapeError, match="lookup"):
                program(*wrong)

    def test_program_describes_itself(self) -> None:
        """A program has its name, and knows its peak memory or says None."""
        program = self.backend.record(lambda x: [self.backend.exp(x)], [np.zeros(3, np.float32)], name="exponent")
        assert program.name == "exponent"
        assert program.peak_bytes is None or program.peak_bytes >= 0

    def _run(self, case: Case, arguments: Arguments) -> list[Tensor]:
        out = self.compute(case, arguments)
        return [] if case.op.spec.writes else [tensor for tensor in leaves(out) if tensor is not None]


class _Network:
    """Two layers with dropout, cross-entropy and AdamW: what a trainer records, in small."""

    def __init__(self, backend: Backend, dtype: DType) -> None:
        generator = np.random.default_rng(5)
        self.backend = backend
        self.dtype = dtype
        shapes = ((9, 6), (6, 8), (8,), (8, 9))
        self.parameters = [backend.upload(generator.standard_normal(shape) * 0.5, dtype) for shape in shapes]
        self.gradients = [backend.zeros(shape, dtype) for shape in shapes]
        self.moments = [[backend.zeros(shape, dtype) for shape in shapes] for _ in range(2)]
        self.step = backend.upload(np.array(0, np.int32))
        self.correction = [backend.full((), 1.0, dtype) for _ in range(2)]

    @property
    def state(self) -> list[Tensor]:
        return [*self.parameters, *self.gradients, *self.moments[0], *self.moments[1]]

    def set_step(self, step: int) -> None:
        """What a trainer writes between steps."""
        self.backend.assign(self.step, self.backend.upload(np.array(step, np.int32)))
        for tensor, beta in zip(self.correction, (0.9, 0.95), strict=True):
            self.backend.assign(tensor, self.backend.full((), 1 - beta ** (step + 1), self.dtype))

    def accumulate(self, tokens: Tensor, targets: Tensor, rows: Tensor) -> Sequence[Tensor]:
        """Adds the gradients of the summed loss."""
        tape = Tape(self.backend)
        tape.watch(*self.parameters)
        table, inner, bias, head = self.parameters
        stream = RandomStream(3, 1, self.step, rows)
        hidden = tape.tanh(tape.add(tape.matmul(tape.embedding(table, tokens), inner), bias))
        logits = tape.matmul(tape.dropout(hidden, 0.25, stream), head)  # (B, T, 9)
        flat = tape.reshape(logits, (tokens.size, 9))
        loss = tape.sum(tape.cross_entropy(flat, tape.reshape(targets, (targets.size,))))
        tape.accumulate(loss, dict(zip(self.parameters, self.gradients, strict=True)))
        return [loss]

    def update(self, rate: Tensor) -> Sequence[Tensor]:
        """Applies AdamW, and empties the gradients."""
        one = self.backend.full((), 1.0, self.dtype)
        norm = self.backend.global_norm(self.gradients)
        self.backend.adamw_update(
            self.parameters,
            self.gradients,
            self.moments[0],
            self.moments[1],
            rate,
            self.correction[0],
            self.correction[1],
            self.backend.clip_coefficient(norm, 1.0),
            one,
            beta1=0.9,
            beta2=0.95,
            eps=1e-8,
            weight_decay=0.1,
        )
        for gradient in self.gradients:
            self.backend.assign(gradient, self.backend.zeros(gradient.shape, gradient.dtype))
        return [norm]


def _batch(number: int, size: int = 6) -> list[Array]:
    """Token ids, targets (some ignored) and the rows of a batch."""
    generator = np.random.default_rng(number)
    tokens, targets = (generator.integers(0, 9, (size, 5)).astype(np.int32) for _ in range(2))
    targets[0, :2] = -1
    return [tokens, targets, np.arange(size, dtype=np.int32)]


def _template(case: Case, host: Arguments) -> tuple[dict[str, Any], list[Array]]:
    """Returns the arguments with `_Input` in place of arrays that can be inputs of a program, and those inputs.

    What the op writes, and tensors whose dtype a host array cannot have, stay captured.
    """
    inputs: list[Array] = []

    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(item) for item in value]
        if not isinstance(value, np.ndarray) or case.dtype is DType.bf16:
            return value
        inputs.append(value if value.dtype == np.int32 else value.astype(case.dtype.numpy))
        return _Input(len(inputs) - 1)

    writes = case.op.spec.writes
    return {name: value if name in writes else replaced(value) for name, value in host.items()}, inputs


def _filled(uploaded: Arguments, template: dict[str, Any], tensors: Sequence[Tensor]) -> Arguments:
    """Returns the uploaded arguments with the inputs of a program in their places."""

    def filled(value: Any, mark: Any) -> Any:
        if isinstance(mark, _Input):
            return tensors[mark.number]
        if isinstance(mark, list) and isinstance(value, list):
            return [filled(item, part) for item, part in zip(value, mark, strict=True)]
        return value

    return {name: filled(value, template[name]) for name, value in uploaded.items()}
