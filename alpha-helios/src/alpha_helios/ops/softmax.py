"""Softmax and cross-entropy: a subgroup or a workgroup for each row."""

from collections.abc import Callable

from alpha_core.recording.launch import Launch
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_helios.kernels.cross_entropy import cross_entropy, cross_entropy_grad
from alpha_helios.kernels.softmax import log_softmax, log_softmax_grad, softmax, softmax_grad
from alpha_helios.ops.rows import RowKernels, RowTeams, row_lanes, row_teams, stored_as

__all__ = ["SoftmaxKernels"]

_FLOPS_OF_EXP = 12.0
_MOST_HELD = 32
"""Elements of a row that an invocation keeps in registers."""


class SoftmaxKernels(RowKernels):
    def softmax(self, x: Tensor) -> Tensor:
        self._require_computed("softmax", x)
        self._check_softmax("softmax", x)
        return self._by_row(softmax, x=x)

    def softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        self._require_computed("softmax_grad", grad, out)
        require_shape("softmax_grad", "grad", grad, out.shape)
        return self._by_row(softmax_grad, grad=grad, y=out)

    def log_softmax(self, x: Tensor) -> Tensor:
        self._require_computed("log_softmax", x)
        self._check_softmax("log_softmax", x)
        return self._by_row(log_softmax, x=x)

    def log_softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        self._require_computed("log_softmax_grad", grad, out)
        require_shape("log_softmax_grad", "grad", grad, out.shape)
        return self._by_row(log_softmax_grad, grad=grad, y=out)

    def cross_entropy(self, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        self._require_targets("cross_entropy", logits, targets, ignore_index)
        out = self.empty(targets.shape, logits.dtype)
        if out.size:
            rows, width = logits.shape
            logits, targets = self.contiguous(logits), self.contiguous(targets)

            def make(teams: RowTeams) -> Launch:
                return Launch(
                    teams.spec(cross_entropy, logits=stored_as(logits)),
                    writes=(out,),
                    reads=(logits, targets),
                    values=(rows, width, ignore_index),
                    flops=_FLOPS_OF_EXP * logits.size,
                    groups=teams.grid(rows),
                )

            ways = row_teams(self.info, width, row_lanes(width, logits), _MOST_HELD)
            self._launch_rows(f"cross_entropy {stored_as(logits)}", rows, width, ways, make)
        return out

    def cross_entropy_grad(self, grad: Tensor, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        self._require_computed("cross_entropy_grad", grad, logits)
        self._require_targets("cross_entropy_grad", logits, targets, ignore_index)
        require_shape("cross_entropy_grad", "grad", grad, targets.shape)
        out = self.result(logits.shape, logits.dtype, [logits])
        if out.size:
            rows, width = logits.shape
            grad, logits, targets = (self.contiguous(tensor) for tensor in (grad, logits, targets))
            types = {"out": stored_as(out), "grad": stored_as(grad), "logits": stored_as(logits)}

            def make(teams: RowTeams) -> Launch:
                return Launch(
                    teams.spec(cross_entropy_grad, chunks=teams.chunks, **types),
                    writes=(out,),
                    reads=(grad, logits, targets),
                    values=(rows, width, ignore_index),
                    flops=_FLOPS_OF_EXP * logits.size,
                    groups=teams.grid(rows),
                )

            ways = row_teams(self.info, width, row_lanes(width, logits), _MOST_HELD)
            self._launch_rows(f"cross_entropy_grad {' '.join(types.values())}", rows, width, ways, make)
        return out

    def _by_row(self, build: Callable[..., None], **operands: Tensor) -> Tensor:
        """Launches a kernel whose arguments are the result, contiguous tensors of its shape, and that shape."""
        given = {name: self.contiguous(tensor) for name, tensor in operands.items()}
        first = next(iter(given.values()))
        out = self.result(first.shape, first.dtype, list(given.values()))
        if out.size:
            width = first.shape[-1]
            rows = first.size // width
            types = {"out": stored_as(out), **{name: stored_as(tensor) for name, tensor in given.items()}}

            def make(teams: RowTeams) -> Launch:
                return Launch(
                    teams.spec(build, chunks=teams.chunks, **types),
                    writes=(out,),
                    reads=tuple(given.values()),
                    values=(rows, width),
                    flops=_FLOPS_OF_EXP * first.size,
                    groups=teams.grid(rows),
                )

            ways = row_teams(self.info, width, row_lanes(width, *given.values()), _MOST_HELD // len(given))
            self._launch_rows(f"{build.__name__} {' '.join(types.values())}", rows, width, ways, make)
        return out

    def _require_targets(self, op: str, logits: Tensor, targets: Tensor, ignore_index: int) -> None:
        self._require_computed(op, logits)
        self._check_cross_entropy(op, logits, targets)
        if self.recorder is None:
            self._check_classes(op, self.download(targets), ignore_index, logits.shape[1])
