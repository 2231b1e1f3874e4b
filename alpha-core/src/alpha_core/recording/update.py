"""Assignment and accumulation in place: the destination stays where it is in memory."""

from alpha_core.errors import BackendError
from alpha_core.recording.movement import MovementLaunches
from alpha_core.recording.storage import is_contiguous, view_of
from alpha_core.shape import operand_dtype, require_dtype, require_shape
from alpha_core.tensor import Tensor

__all__ = ["UpdateLaunches"]


class UpdateLaunches(MovementLaunches):
    """Nothing is left to say for a backend."""

    def assign(self, destination: Tensor, source: Tensor) -> None:
        require_shape("assign", "source", source, destination.shape)
        require_dtype("assign", "source", source, destination.dtype)
        if source is destination:
            return
        self._settle(destination)
        self._copy_into(destination, source)

    def add_into(self, destination: Tensor, source: Tensor) -> None:
        require_shape("add_into", "source", source, destination.shape)
        self._require_arithmetic("add_into", operand_dtype("add_into", destination, source))
        self._settle(destination)
        self._fill("add", destination, [destination, source])

    def _settle(self, destination: Tensor) -> None:
        """Makes a destination contiguous and no other tensor's."""
        self.own(destination)
        if is_contiguous(destination):
            return
        if self.recorder is not None and view_of(destination).buffer.memory is not None:
            raise BackendError(
                "a recorded step cannot write to a captured tensor that is a part of another one",
                hint="capture a tensor that `upload`, `full` or `zeros` made, and `assign` the values to it",
            )
        destination.storage = view_of(self._copied(destination))
