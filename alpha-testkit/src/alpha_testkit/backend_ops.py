"""Tests of every op of a backend by itself."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from alpha_autograd import Tape
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.op import ops_of
from alpha_core.tensor import Tensor
from alpha_testkit.backend_base import BackendTests, by_op, by_sample
from alpha_testkit.compare import epsilon
from alpha_testkit.conformance import each, seed_of
from alpha_testkit.differences import directions, slope
from alpha_testkit.op_cases import OP_CASES, Case, ErrorCase, OpCase, Stored
from alpha_testkit.op_cases.case import Arguments, Array, leaves

__all__ = ["OpTests"]


def _gradient_samples(op: OpCase) -> list[Any]:
    return [sample for sample in op.samples if sample.gradient] if op.differentiable else []


def _error_cases(kit: type[BackendTests]) -> dict[str, Case]:
    dtype = DType.f32 if DType.f32 in kit.compute_dtypes else kit.compute_dtypes[0]
    return {f"{op.name}-{error.name}": Case(op, error, dtype) for op in OP_CASES.values() for error in op.errors}


def _integer_cases(kit: type[BackendTests]) -> dict[str, Case]:
    return {f"{op.name}-{s.name}": Case(op, s, DType.i32) for op in OP_CASES.values() for s in op.integers}


def _overridable(op: OpCase) -> bool:
    return not op.spec.abstract


class OpTests(BackendTests, kit=True):
    """Values, gradients, errors, NaN, determinism and arguments, op by op."""

    @each(lambda kit: OP_CASES)
    def test_signature(self, case: OpCase) -> None:
        """An override takes the arguments of the contract: same names, order, kinds and defaults."""
        contract = inspect.signature(getattr(Backend, case.name)).parameters.values()
        actual = inspect.signature(getattr(type(self.backend), case.name)).parameters.values()
        assert [(p.name, p.kind, p.default) for p in actual] == [(p.name, p.kind, p.default) for p in contract]

    @each(by_sample(lambda op: op.samples))
    def test_forward(self, case: Case) -> None:
        """The result agrees with the float64 reference."""
        self._check_call(case)

    @each(_integer_cases)
    def test_integers(self, case: Case) -> None:
        """Ops that also work on i32 are exact there."""
        self._check_call(case)

    @each(by_sample(lambda op: op.non_finite))
    def test_non_finite(self, case: Case) -> None:
        """NaN and infinities appear where the definition has them, and nowhere else."""
        self._check_call(case)

    @each(by_sample(_gradient_samples))
    def test_gradient(self, case: Case) -> None:
        """Gradients through the tape agree with slopes of the float64 reference."""
        host = case.host()
        arguments = case.upload(self.backend, host)
        sources = dict(_sources(case.op, arguments))
        tape = Tape(self.backend)
        tape.watch(*sources.values())
        out = next(leaves(case.op.call(getattr(tape, case.op.name), arguments)))
        generator = np.random.default_rng(seed_of(case.op.name, "projection"))
        projection = self.backend.upload(generator.standard_normal(out.shape), case.dtype)
        weights = self.backend.download(projection).astype(np.float64)
        gradients = tape.vector_jacobian_product(out, projection, list(sources.values()))
        for (name, index), gradient in zip(sources, gradients, strict=True):
            source = sources[name, index]
            assert gradient.shape == source.shape, f"the gradient of `{name}` has shape {list(gradient.shape)}"
            assert gradient.dtype is source.dtype, f"the gradient of `{name}` is {gradient.dtype.value}"
            self._check_gradient(case, host, (name, index), weights, self.backend.download(gradient))

    @each(_error_cases)
    def test_errors(self, case: Case) -> None:
        """Arguments that the docstring excludes raise the right error, which names an op."""
        arguments = case.upload(self.backend, case.host())
        assert isinstance(case.sample, ErrorCase)
        with pytest.raises(case.sample.error) as caught:
            self.compute(case, arguments)
        quoted = set(re.findall(r"`(\w+)`", caught.value.message))
        assert quoted & set(ops_of(Backend)), f"the message names no op in backticks: {caught.value.message}"

    @each(by_op())
    def test_determinism(self, case: list[Case]) -> None:
        """The same arguments give the same bits."""
        for one in case:
            host = one.host()
            runs = []
            for _ in range(2):
                arguments = one.upload(self.backend, host)
                runs.append(self.download_all(self.results(one, arguments, self.compute(one, arguments))))
            self.check_bits(f"the second result of sample `{one.sample.name}`", runs[1], runs[0])

    @each(by_op())
    def test_arguments(self, case: list[Case]) -> None:
        """Nothing is changed but the arguments that the op declares as written."""
        for one in case:
            arguments = one.upload(self.backend, one.host())
            read = _read_tensors(one.op, arguments)
            before = self.download_all(read)
            self.compute(one, arguments)
            self.check_bits(f"after sample `{one.sample.name}` an argument", self.download_all(read), before)

    @each(by_op())
    def test_results_are_their_own(self, case: list[Case]) -> None:
        """Writing to an argument later does not change a result, nor the other way round."""
        for one in case:
            arguments = one.upload(self.backend, one.host())
            read = _read_tensors(one.op, arguments)
            results = [tensor for tensor in self.results(one, arguments, self.compute(one, arguments)) if tensor]
            assert not set(results) & set(read), f"`{one.op.name}` returned its argument, not a new tensor"
            wanted, kept = self.download_all(results), self.download_all(read)
            for tensor in read:
                self._overwrite(tensor)
            self.check_bits("after writing to the arguments a result", self.download_all(results), wanted)
            for tensor, array in zip(read, kept, strict=True):
                self.backend.assign(tensor, self.backend.upload(array, tensor.dtype))
            for tensor in results:
                self._overwrite(tensor)
            self.check_bits("after writing to the results an argument", self.download_all(read), kept)

    @each(by_op(_overridable))
    def test_composite(self, case: list[Case]) -> None:
        """The contract's composite works on this backend, and a native op agrees with it."""
        for one in case:
            host = one.host()
            native, composed = one.upload(self.backend, host), one.upload(self.backend, host)
            composite = getattr(Backend, one.op.name).__get__(self.backend)
            wanted = self.results(one, composed, one.op.call(composite, composed))
            self.check(one, host, wanted, f"sample `{one.sample.name}`: the composite")
            results = self.results(one, native, self.compute(one, native))
            for got, want in zip(results, wanted, strict=True):
                assert (got is None) == (want is None), f"native {got!r}, composite {want!r}"
                if got is not None and want is not None:
                    values = self.backend.download(want).astype(np.float64 if want.dtype.is_floating else np.int32)
                    what = f"sample `{one.sample.name}`: native `{one.op.name}` beside the composite"
                    self.check_tensor(what, one, got, Stored(values, want.dtype), one.tolerance.times(2))

    @each(lambda kit: {dtype.value: dtype for dtype in kit.compute_dtypes})
    def test_attention_is_causal(self, case: DType) -> None:
        """Changing token t changes no bit of the outputs before t."""
        generator = np.random.default_rng(0)
        shape, position = (2, 3, 37, 8), 19
        arrays = [generator.standard_normal(shape) for _ in range(3)]
        changed = [array.copy() for array in arrays]
        for array in changed:
            array[:, :, position:] += generator.standard_normal((2, 3, shape[2] - position, 8))
        outputs = []
        for drawn in (arrays, changed):
            query, key, value = (self.backend.upload(array, case) for array in drawn)
            outputs.append(self.download_all(self.backend.attention(query, key, value)))
        self.check_bits(
            f"with another future, the past (before {position})",
            [array[:, :, :position] for array in outputs[1]],
            [array[:, :, :position] for array in outputs[0]],
        )
        assert not np.array_equal(outputs[0][0][:, :, position:], outputs[1][0][:, :, position:])

    def test_compute_dtypes(self) -> None:
        """The kit's `compute_dtypes` are the backend's."""
        assert set(self.compute_dtypes) == set(self.backend.compute_dtypes)
        assert all(dtype.is_floating for dtype in self.compute_dtypes)

    def test_description(self) -> None:
        """A backend has a name, and one line about itself."""
        assert self.backend.name
        assert self.backend.description
        assert "\n" not in self.backend.description

    def _check_call(self, case: Case) -> None:
        host = case.host()
        arguments = case.upload(self.backend, host)
        self.check(case, host, self.results(case, arguments, self.compute(case, arguments)))

    def _check_gradient(
        self, case: Case, host: Arguments, where: tuple[str, int | None], weights: Array, gradient: Array
    ) -> None:
        name, index = where
        exact = Case(case.op, case.sample, DType.f64)  # the reference must not round to the dtype under test
        value = host[name] if index is None else host[name][index]

        def projected(changed: Array) -> float:
            replaced = changed if index is None else [changed if i == index else v for i, v in enumerate(host[name])]
            out = next(leaves(exact.reference({**host, name: replaced})))
            return float(np.sum(weights * np.asarray(getattr(out, "values", out))))

        largest = float(np.max(np.abs(gradient), initial=case.tolerance.least))
        rounding = (16 + 4 * case.tolerance.units) * epsilon(case.dtype) * largest
        floor = 1e-9 * (1.0 + abs(projected(value)))  # what finite differences themselves lose
        generator = np.random.default_rng(seed_of(case.op.name, case.sample.name, name))
        for direction in directions(value.shape, generator):
            got, want = float(np.sum(gradient * direction)), slope(projected, value, direction)
            allowed = rounding * float(np.linalg.norm(direction)) + floor
            label = name if index is None else f"{name}[{index}]"
            assert abs(got - want) <= allowed, (
                f"the gradient of `{case.op.name}` for `{label}` gives the slope {got!r} along a direction in which "
                f"the reference has {want!r}: {abs(got - want):.2e} apart, {allowed:.2e} allowed"
            )

    def _overwrite(self, tensor: Tensor) -> None:
        self.backend.assign(tensor, self.backend.full(tensor.shape, 77.0, tensor.dtype))


def _sources(op: OpCase, arguments: Arguments) -> Iterator[tuple[tuple[str, int | None], Tensor]]:
    """Yields the tensors that have a gradient, by argument and place in it (None: the argument itself)."""
    for name in op.differentiable:
        value = arguments.get(name)
        if isinstance(value, Tensor):
            yield (name, None), value
        elif isinstance(value, list):
            yield from (((name, index), tensor) for index, tensor in enumerate(value))


def _read_tensors(op: OpCase, arguments: Arguments) -> list[Tensor]:
    return [
        leaf
        for name, value in arguments.items()
        if name not in op.spec.writes
        for leaf in leaves(value)
        if isinstance(leaf, Tensor)
    ]
