"""The tape: a backend that notes what is computed from watched tensors, and walks it backwards for gradients."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy.typing as npt

from alpha_autograd.gradients import GRADIENTS, NO_GRAD, REFUSED, Gradient
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import GradientError
from alpha_core.knob import Knob
from alpha_core.op import ops_of
from alpha_core.shape import broadcast_axes
from alpha_core.tensor import Tensor
from alpha_core.trace import Span

__all__ = ["Tape", "tensors_in"]


@attrs.frozen(eq=False)
class _Node:
    """One computation: from the gradient of `output`, `backward` makes those of `inputs`, in order."""

    output: Tensor
    inputs: Sequence[Tensor]
    backward: Callable[[Tensor], Sequence[Tensor]]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yields the tensors among the arguments of an op, also those in lists, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def _noted(name: str) -> Callable[..., Any]:
    """Returns the method of `Tape` for one op: compute on the inner backend, then note it."""
    signature = inspect.signature(getattr(Backend, name))

    def method(self: "Tape", *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        arguments = tuple(bound.arguments.values())[1:]
        self._check(name, arguments)
        out = getattr(self.backend, name)(*args, **kwargs)
        self._note(name, arguments, out)
        return out

    method.__name__ = name
    return method


# Every op of the contract gets the same method, so a new op needs no line here, only its row in the table.
_NotedBackend: Any = type("_NotedBackend", (Backend,), {name: _noted(name) for name in ops_of(Backend)})


class Tape(_NotedBackend):  # type: ignore[misc]
    """A backend around a backend: the same code computes with it, and gradients can be asked for afterwards.

    ```python
    tape = Tape(backend)
    tape.watch(weight)
    loss = tape.mean(tape.square(tape.sub(tape.matmul(x, weight), y)))
    (dweight,) = tape.gradients(loss, [weight])
    ```

    A tape is used for one call of `gradients` or `accumulate`, which frees what the tape held as it goes. Tapes nest: a
    tape around a tape gives second derivatives of the ops whose gradients are themselves ops with a row.
    """

    name = "tape"

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.compute_dtypes = backend.compute_dtypes
        self._nodes: list[_Node] = []
        self._tracked: set[Tensor] = set()
        self._side_outputs: dict[Tensor, str] = {}

    def upload(self, array: npt.NDArray[Any], dtype: DType | None = None) -> Tensor:
        return self.backend.upload(array, dtype)

    def download(self, x: Tensor) -> npt.NDArray[Any]:
        return self.backend.download(x)

    def constant(self, values: npt.NDArray[Any], dtype: DType) -> Tensor:
        return self.backend.constant(values, dtype)

    def set_matmul_dtype(self, dtype: DType) -> None:
        self.backend.set_matmul_dtype(dtype)

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return self.backend.knobs

    def set_knob(self, name: str, value: int) -> None:
        self.backend.set_knob(name, value)

    def start_trace(self) -> None:
        self.backend.start_trace()

    def stop_trace(self) -> list[Span]:
        return self.backend.stop_trace()

    def watch(self, *tensors: Tensor) -> None:
        """Notes everything that is computed from these tensors from now on. They must be floating."""
        for tensor in tensors:
            if not tensor.dtype.is_floating:
                raise GradientError(f"{tensor!r} cannot be watched: only floating tensors have gradients")
            self._tracked.add(tensor)

    def is_tracked(self, tensor: Tensor) -> bool:
        """Whether `tensor` is watched or computed from a watched one."""
        return tensor in self._tracked

    def gradients(self, loss: Tensor, sources: Sequence[Tensor]) -> list[Tensor]:
        """Returns the gradient of `loss` (one element) for each of `sources`; zeros where it does not depend on one.

        Raises `GradientError` for a source that is not watched, or a loss that depends on nothing watched.
        """
        if loss.size != 1:
            raise GradientError(f"the loss is {loss!r}; a gradient needs a single number", hint="`sum` or `mean` it")
        return self.vector_jacobian_product(loss, self.backend.full(loss.shape, 1.0, loss.dtype), sources)

    def vector_jacobian_product(self, output: Tensor, grad: Tensor, sources: Sequence[Tensor]) -> list[Tensor]:
        """Returns the gradient of sum(output * grad) for each of `sources`."""
        gradients = self._walk_back(output, grad, sources, {})
        return [
            gradients[source] if source in gradients else self.backend.zeros(source.shape, source.dtype)
            for source in sources
        ]

    def accumulate(self, losses: Tensor, sums: Mapping[Tensor, Tensor]) -> None:
        """Adds the gradient of the sum of `losses` (any shape) for each watched tensor into the sum that it maps to.

        Every contribution goes into its sum as soon as it is there, so none waits for the others, and a backend may
        compute it in place (`add_into` of a `matmul`). The order is that of the tape, backwards. Raises `GradientError`
        as `gradients` does, and for a tensor that was computed on this tape.
        """
        for node in self._nodes:
            if node.output in sums:
                raise GradientError(
                    f"{node.output!r} was computed on the tape, so its gradient is still needed there",
                    hint="use `gradients`",
                )
        self._walk_back(losses, self.backend.full(losses.shape, 1.0, losses.dtype), list(sums), sums)

    def _walk_back(
        self, output: Tensor, grad: Tensor, sources: Sequence[Tensor], sums: Mapping[Tensor, Tensor]
    ) -> dict[Tensor, Tensor]:
        """Empties the tape and returns the gradients that arrived at `sources`, but for those that went into `sums`."""
        if output not in self._tracked:
            raise GradientError(
                f"{output!r} does not depend on a watched tensor", hint="call `watch` before computing the loss"
            )
        for source in sources:
            if source not in self._tracked:
                raise GradientError(f"{source!r} was not watched", hint="call `watch` before computing the loss")
        wanted = set(sources)
        gradients: dict[Tensor, Tensor] = {}
        self._contribute(output, grad, gradients, sums)
        while self._nodes:
            node = self._nodes.pop()
            self._tracked.discard(node.output)  # else the set would keep every activation until the end
            incoming = gradients.get(node.output) if node.output in wanted else gradients.pop(node.output, None)
            if incoming is None:
                continue
            for source, gradient in zip(node.inputs, node.backward(incoming), strict=True):
                self._contribute(source, _unbroadcast(self.backend, gradient, source), gradients, sums)
        self._tracked.clear()
        return gradients

    def _contribute(
        self, source: Tensor, gradient: Tensor, gradients: dict[Tensor, Tensor], sums: Mapping[Tensor, Tensor]
    ) -> None:
        if source in sums:
            self.backend.add_into(sums[source], gradient)
        else:
            known = gradients.get(source)
            gradients[source] = gradient if known is None else self.backend.add(known, gradient)

    def add_node(
        self, output: Tensor, inputs: Sequence[Tensor], backward: Callable[[Tensor], Sequence[Tensor]]
    ) -> None:
        """Notes a computation that was not made of ops on this tape, such as a checkpointed function."""
        self._tracked.add(output)
        self._nodes.append(_Node(output, inputs, backward))

    def _check(self, name: str, arguments: tuple[Any, ...]) -> None:
        for tensor in tensors_in(arguments):
            if tensor in self._side_outputs:
                op = self._side_outputs[tensor]
                raise GradientError(f"`{name}` uses an output of `{op}` that has no gradient: only the first one has")
            if name in REFUSED and tensor in self._tracked:
                raise GradientError(f"`{name}` is used on a watched tensor, but it {NO_GRAD[name]}")

    def _note(self, name: str, arguments: tuple[Any, ...], out: Any) -> None:
        inputs = [tensor for tensor in tensors_in(arguments) if tensor in self._tracked]
        if not inputs or name in NO_GRAD:
            return
        outputs = out if isinstance(out, tuple) else (out,)
        self._side_outputs.update((side, name) for side in outputs[1:] if side.dtype.is_floating)
        self.add_node(outputs[0], inputs, lambda grad: self._apply_rule(name, grad, out, arguments, set(inputs)))

    def _apply_rule(
        self, name: str, grad: Tensor, out: Any, arguments: tuple[Any, ...], tracked: set[Tensor]
    ) -> list[Tensor]:
        """Returns the gradients of the tracked tensors among the arguments, in order."""
        rule = GRADIENTS[name]
        results: list[Tensor] = []
        joint = () if isinstance(rule, tuple) else rule(self.backend, grad, out, *arguments)
        separate = rule if isinstance(rule, tuple) else ()
        for position, argument in enumerate(arguments):
            members = [(i, tensor) for i, tensor in enumerate(tensors_in(argument)) if tensor in tracked]
            if not members:
                continue
            gradient: Gradient = None
            if position < len(joint):
                gradient = joint[position]
            elif position < len(separate) and (function := separate[position]) is not None:
                gradient = function(self.backend, grad, out, *arguments)
            if gradient is None:
                raise GradientError(f"`{name}` has no gradient for its argument {position + 1}, which is watched")
            results += [gradient if isinstance(gradient, Tensor) else gradient[i] for i, _ in members]
        return results


def _unbroadcast(backend: Backend, gradient: Tensor, source: Tensor) -> Tensor:
    """Sums a gradient over the axes along which its tensor was repeated."""
    if gradient.shape == source.shape:
        return gradient
    summed = backend.sum(gradient, broadcast_axes(source.shape, gradient.shape))
    return backend.reshape(summed, source.shape)
