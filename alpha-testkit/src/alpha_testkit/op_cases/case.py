"""One row of the table of op cases: how to call an op, what it should return, and how precisely."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import OpError
from alpha_core.op import OpSpec, ops_of
from alpha_core.random import RandomStream
from alpha_core.tensor import Tensor
from alpha_testkit.compare import Tolerance, rounded
from alpha_testkit.conformance import seed_of

__all__ = ["WORKING", "Arguments", "Array", "Case", "ErrorCase", "OpCase", "Sample", "Stored", "Stream", "leaves"]

Array = npt.NDArray[Any]
Arguments = dict[str, Any]
"""The arguments of one call by name. A float64 array stands for a tensor of the dtype under test, an int32 array for
an i32 tensor; `Stored`, `Stream` and `WORKING` for what they say; all else is passed as it is. Lists may hold
any of it."""


class _Working:
    def __repr__(self) -> str:
        return "WORKING"


_OPS: Final = ops_of(Backend)
WORKING: Final = _Working()
"""Stands for the dtype under test, where an op takes a dtype."""


@attrs.frozen(eq=False)
class Stored:
    """Stands for a tensor of a fixed dtype."""

    values: Array
    dtype: DType


@attrs.frozen
class Stream:
    """Stands for a `RandomStream`, with its tensors `step` and `rows` as host values."""

    seed: int
    stream: int
    step: int
    rows: tuple[int, ...]


@attrs.frozen
class Sample:
    """A call that has a result. `draw` makes the arguments; their shapes must not depend on the generator."""

    name: str
    draw: Callable[[np.random.Generator], Arguments]
    tolerance: Tolerance | None = None
    """In place of the op's, where this sample is harder than the others."""
    gradient: bool = True
    """False for a sample at which the op has no derivative."""


@attrs.frozen
class ErrorCase:
    """A call that must raise. The message must name an op in backticks."""

    name: str
    draw: Callable[[np.random.Generator], Arguments]
    error: type[OpError] = OpError


@attrs.frozen(kw_only=True)
class OpCase:
    """Everything that the kit knows about one op.

    `reference` is the definition in numpy float64, made without a backend; it gets the arguments by name and returns
    the result (arrays where the op returns tensors). For an op that writes in place it returns the new contents by
    argument.
    """

    name: str
    reference: Callable[..., Any]
    tolerance: Tolerance
    samples: Sequence[Sample]
    integers: Sequence[Sample] = ()
    """Calls with i32 operands, for the ops whose docstring promises them."""
    non_finite: Sequence[Sample] = ()
    """Calls with infinities and NaN; values are compared like those of `samples`, and NaN must be where it belongs."""
    errors: Sequence[ErrorCase] = ()
    differentiable: tuple[str, ...] = ()
    """Arguments for which the tape gives a gradient."""
    storage: bool = False
    """Whether the op works in every dtype, also in those that a backend only stores."""

    @property
    def spec(self) -> OpSpec:
        return _OPS[self.name]

    def call(self, method: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Calls a bound method, by position where the contract allows it, as callers do."""
        bound = _signature(self.name).bind(None, **arguments)
        return method(*bound.args[1:], **bound.kwargs)


@cache
def _signature(op: str) -> inspect.Signature:
    return inspect.signature(getattr(Backend, op))


@attrs.frozen
class Case:
    """An op's sample in one dtype: draws the arguments and moves them to a backend."""

    op: OpCase
    sample: Sample | ErrorCase
    dtype: DType

    @property
    def tolerance(self) -> Tolerance:
        """The sample's tolerance, or the op's."""
        own = self.sample.tolerance if isinstance(self.sample, Sample) else None
        return own or self.op.tolerance

    def host(self, variant: str = "") -> Arguments:
        """Draws the arguments, rounded to the dtype as float64; another variant gives other values."""
        generator = np.random.default_rng(seed_of(self.op.name, self.sample.name, variant))
        with np.errstate(all="ignore"):
            return {name: self._rounded(value) for name, value in self.sample.draw(generator).items()}

    def upload(self, backend: Backend, arguments: Mapping[str, Any]) -> Arguments:
        """Returns the arguments with tensors of `backend` in place of arrays."""
        return {name: self._uploaded(backend, value) for name, value in arguments.items()}

    def reference(self, arguments: Mapping[str, Any]) -> Any:
        """Computes the reference on host arguments."""
        with np.errstate(all="ignore"):
            return self.op.reference(**{name: _plain(value, self.dtype) for name, value in arguments.items()})

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, Stored):
            return Stored(rounded(value.values, value.dtype), value.dtype)
        if isinstance(value, np.ndarray):
            return rounded(value, self.dtype) if value.dtype == np.float64 else value
        return [self._rounded(item) for item in value] if isinstance(value, list) else value

    def _uploaded(self, backend: Backend, value: Any) -> Any:
        match value:
            case Stored():
                return backend.upload(value.values, value.dtype)
            case np.ndarray():
                return backend.upload(value, DType.i32 if value.dtype == np.int32 else self.dtype)
            case Stream():
                step, rows = np.array(value.step, np.int32), np.array(value.rows, np.int32)
                return RandomStream(value.seed, value.stream, backend.upload(step), backend.upload(rows))
            case list():
                return [self._uploaded(backend, item) for item in value]
            case _:
                return self.dtype if value is WORKING else value


def _plain(value: Any, dtype: DType) -> Any:
    if isinstance(value, Stored):
        return value.values
    if isinstance(value, list):
        return [_plain(item, dtype) for item in value]
    return dtype if value is WORKING else value


def leaves(value: Any) -> Iterator[Any]:
    """Yields the tensors (or arrays) of a result or an argument, in order; None for an absent one."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, RandomStream):
        yield from (value.step, value.rows)
    elif value is None or isinstance(value, Tensor | np.ndarray | np.generic | Stored):
        yield value
