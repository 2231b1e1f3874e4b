"""Reductions: one group of neighbouring axes after the other, from the last."""

import math
from abc import abstractmethod
from collections.abc import Sequence

from alpha_core.errors import OpError
from alpha_core.ops.reduction import Axes
from alpha_core.recording.storage import View, row_major, view_of
from alpha_core.recording.update import UpdateLaunches
from alpha_core.shape import nonempty_axes, normalize_axes, reduced_shape
from alpha_core.tensor import Tensor

__all__ = ["ReductionLaunches"]


class ReductionLaunches(UpdateLaunches):
    """A backend says how it reduces one axis, and how it adds up squares."""

    def sum(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        self._require_computed("sum", x)
        return self._reduced("sum", x, normalize_axes("sum", axes, x.ndim), keepdims)

    def mean(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        self._require_computed("mean", x)
        normal = nonempty_axes("mean", x.shape, axes)
        return self._reduced("sum", x, normal, keepdims, 1.0 / math.prod(x.shape[axis] for axis in normal))

    def max(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        self._require_computed("max", x)
        return self._reduced("max", x, nonempty_axes("max", x.shape, axes), keepdims)

    def all_finite(self, x: Tensor) -> Tensor:
        self._require_computed("all_finite", x)
        if x.size == 0:
            return self.full((), 1.0, x.dtype)
        return self._reduced("finite", x, tuple(range(x.ndim)), False)

    def sum_of_squares(self, x: Tensor) -> Tensor:
        self._require_computed("sum_of_squares", x)
        return self._squares([x], root=False)

    def global_norm(self, tensors: Sequence[Tensor]) -> Tensor:
        if not tensors:
            raise OpError("`global_norm`: no tensors given")
        self._require_computed("global_norm", *tensors)
        return self._squares(tensors, root=True)

    def clip_coefficient(self, norm: Tensor, limit: float) -> Tensor:
        return self._computed("clip_coefficient", [norm, limit], integers=False)

    def _reduced(self, op: str, x: Tensor, axes: tuple[int, ...], keepdims: bool, scale: float = 1.0) -> Tensor:
        shape = reduced_shape(x.shape, axes, keepdims)
        if x.size == 0 or math.prod(shape) == 0:
            return self.full(shape, 0.0, x.dtype)
        groups = _groups(x.shape, axes)
        if not any(is_reduced for _, is_reduced in groups):
            groups.append((1, True))
        while any(is_reduced for _, is_reduced in groups):
            last = max(index for index, (_, is_reduced) in enumerate(groups) if is_reduced)
            before, length, after = (
                math.prod(length for length, _ in some)
                for some in (groups[:last], groups[last : last + 1], groups[last + 1 :])
            )
            groups.pop(last)
            is_final = not any(is_reduced for _, is_reduced in groups)
            x = self._reduced_axis(op, x, (before, length, after), scale if is_final else 1.0)
            op = "min" if op == "finite" else op
        return Tensor(shape, x.dtype, View(view_of(x).buffer, row_major(shape)))

    @abstractmethod
    def _reduced_axis(self, op: str, x: Tensor, shape: tuple[int, int, int], scale: float) -> Tensor:
        """Reduces the middle one of three axes, as which x is seen; the result has the other two, contiguous.

        `op` is `sum` (of everything times `scale`), `max`, `finite` (1 where all are, else 0) or `min`.
        """

    @abstractmethod
    def _squares(self, tensors: Sequence[Tensor], root: bool) -> Tensor:
        """Adds up the squares of all elements, or takes the root of the sum. ()"""


def _groups(shape: Sequence[int], axes: Sequence[int]) -> list[tuple[int, bool]]:
    """Returns the lengths of runs of axes that are all reduced, or all kept; axes of length 1 are in none."""
    groups: list[tuple[int, bool]] = []
    for axis, length in enumerate(shape):
        is_reduced = axis in axes
        if length == 1:
            continue
        if groups and groups[-1][1] == is_reduced:
            groups[-1] = (groups[-1][0] * length, is_reduced)
        else:
            groups.append((length, is_reduced))
    return groups
