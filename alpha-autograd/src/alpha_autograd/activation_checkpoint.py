"""Activation checkpointing: keep no intermediates of a function, and compute it again for the gradient."""

from collections.abc import Callable, Sequence

from alpha_autograd.tape import Tape, tensors_in
from alpha_core.backend import Backend
from alpha_core.tensor import Tensor

__all__ = ["checkpoint"]


def checkpoint(backend: Backend, function: Callable[[Backend, Tensor], Tensor], x: Tensor) -> Tensor:
    """Returns `function(backend, x)`; on a tape, the backward pass runs `function` again instead of keeping its inside.

    Watched tensors that `function` captures (weights) get their gradients too. Dropout is replayed exactly, because it
    is a pure function of its random stream. (Chen et al. 2016, "Training deep nets with sublinear memory cost".)
    """
    if not isinstance(backend, Tape):
        return function(backend, x)
    first_run = _Listening(backend.backend, backend)
    output = function(first_run, x)
    inputs = list(first_run.used)
    if not inputs:
        return output

    def backward(grad: Tensor) -> Sequence[Tensor]:
        replay = Tape(backend.backend)
        replay.watch(*inputs)
        return replay.vector_jacobian_product(function(replay, x), grad, inputs)

    backend.add_node(output, inputs, backward)
    return output


class _Listening(Tape):
    """Computes without noting, and collects which tensors of an outer tape are used."""

    def __init__(self, backend: Backend, outer: Tape) -> None:
        super().__init__(backend)
        self.used: dict[Tensor, None] = {}
        self._outer = outer

    def _check(self, name: str, arguments: tuple[object, ...]) -> None:
        self.used.update((tensor, None) for tensor in tensors_in(arguments) if self._outer.is_tracked(tensor))
