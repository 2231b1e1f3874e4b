"""Which tensors look into one buffer while a step is recorded.

Tensors are values: writing to one must not change another. So before a buffer is written, all others that look into it
move to a copy; see `Engine.own`. Outside of a recording no two tensors share what may be written.
"""

from weakref import ref

from alpha_core.recording.storage import Buffer, view_of
from alpha_core.tensor import Tensor

__all__ = ["Aliases"]


class Aliases:
    """The tensors of each buffer that has several, the one that had it first in front."""

    def __init__(self) -> None:
        self._sharing: dict[Buffer, list[ref[Tensor]]] = {}

    def add(self, tensor: Tensor, view: Tensor) -> None:
        """Notes that `view` looks into the buffer of `tensor`."""
        sharing = self._sharing.setdefault(view_of(tensor).buffer, [])
        if not any(known() is tensor for known in sharing):
            sharing.append(ref(tensor))
        sharing.append(ref(view))

    def sharing(self, tensor: Tensor) -> list[Tensor]:
        """Returns the living tensors that look into a tensor's buffer, if there are several."""
        found = [known() for known in self._sharing.get(view_of(tensor).buffer, ())]
        return [known for known in found if known is not None]
