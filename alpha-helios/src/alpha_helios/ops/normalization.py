"""Layer norm and RMS norm: a subgroup or a workgroup for each row, wherever it stands as long as it has no gaps."""

from alpha_core.recording.launch import KernelSpec
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_helios.kernels.norm import norm, norm_columns, norm_grad, norm_grad_rows
from alpha_helios.ops.columns import ColumnSums
from alpha_helios.ops.rows import RowTeams, row_lanes, row_places, row_teams, stored_as

__all__ = ["NormalizationKernels"]

_MOST_HELD, _MOST_HELD_IN_GRAD = 32, 24
"""Elements of a row that an invocation keeps in registers; of the gradient's, there are five such arrays."""
_MOST_BLOCKS = 512
"""Blocks of rows whose sums for the weight are taken by a workgroup each."""
_COLUMN_TILE = (32, 8, 1)


class NormalizationKernels(ColumnSums):
    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Tensor:
        return self._normalized("layer_norm", x, weight, bias, eps, centred=True)

    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5
    ) -> tuple[Tensor, Tensor, Tensor]:
        dx, dweight, dbias = self._normalized_grad("layer_norm_grad", grad, x, weight, eps, centred=True)
        return dx, dweight, dbias

    def rms_norm(self, x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
        return self._normalized("rms_norm", x, weight, None, eps, centred=False)

    def rms_norm_grad(self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
        dx, dweight = self._normalized_grad("rms_norm_grad", grad, x, weight, eps, centred=False)
        return dx, dweight

    def _normalized(
        self, op: str, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, *, centred: bool
    ) -> Tensor:
        columns = [weight] if bias is None else [weight, bias]
        self._require_computed(op, x, *columns)
        for name, tensor in zip(("weight", "bias"), columns, strict=False):
            require_shape(op, name, tensor, x.shape[-1:])
        out = self.result(x.shape, x.dtype, [x])
        if x.size == 0:
            return out
        (x,), strided, places = row_places([x], self._copied)
        columns = [self.contiguous(column) for column in columns]
        width = x.shape[-1]
        rows = x.size // width
        teams = row_teams(self.info, width, row_lanes(width, x, *columns), _MOST_HELD)
        self.launch(
            teams.spec(
                norm,
                out=stored_as(out),
                x=stored_as(x),
                weight=stored_as(weight),
                bias=None if bias is None else stored_as(bias),
                centred=centred,
                strided=strided,
                chunks=teams.chunks,
            ),
            writes=[out],
            reads=[x, *columns],
            values=[rows, width, float(eps), *places[0]],
            groups=teams.grid(rows),
            flops=8.0 * x.size,
        )
        return out

    def _normalized_grad(
        self, op: str, grad: Tensor, x: Tensor, weight: Tensor, eps: float, *, centred: bool
    ) -> list[Tensor]:
        """Returns the gradients for x and weight, and the one for bias if `centred`."""
        self._require_computed(op, grad, x, weight)
        require_shape(op, "grad", grad, x.shape)
        require_shape(op, "weight", weight, x.shape[-1:])
        dx = self.result(x.shape, x.dtype, [grad, x])
        sums = 2 if centred else 1
        if x.size == 0:
            return [dx, *(self.zeros(weight.shape, x.dtype) for _ in range(sums))]
        (grad, x), strided, places = row_places([grad, x], self._copied)
        weight = self.contiguous(weight)
        width = x.shape[-1]
        lanes = row_lanes(width, grad, x, weight)
        teams = row_teams(self.info, width, lanes, _MOST_HELD_IN_GRAD)
        make = self._held_grad if teams.chunks else self._long_grad
        partial = make(teams, dx, grad, x, weight, eps, centred, strided, [*places[0], *places[1]])
        return [dx, *(self._column_sum(partial, place) for place in range(sums))]

    def _held_grad(
        self,
        teams: RowTeams,
        dx: Tensor,
        grad: Tensor,
        x: Tensor,
        weight: Tensor,
        eps: float,
        centred: bool,
        strided: bool,
        places: list[int],
    ) -> Tensor:
        """Writes dx, and returns the sums over blocks of rows: (blocks, 1 or 2, width)."""
        width = x.shape[-1]
        rows = x.size // width
        block = -(-rows // min(_MOST_BLOCKS, -(-rows // teams.count)))
        partial = self.empty((-(-rows // block), 2 if centred else 1, width))
        types = {"dx": stored_as(dx), "grad": stored_as(grad), "x": stored_as(x), "weight": stored_as(weight)}
        self.launch(
            teams.spec(norm_grad, centred=centred, strided=strided, chunks=teams.chunks, **types),
            writes=[dx, partial],
            reads=[grad, x, weight],
            values=[rows, width, block, float(eps), *places],
            groups=(partial.shape[0], 1, 1),
            flops=16.0 * x.size,
        )
        return partial

    def _long_grad(
        self,
        teams: RowTeams,
        dx: Tensor,
        grad: Tensor,
        x: Tensor,
        weight: Tensor,
        eps: float,
        centred: bool,
        strided: bool,
        places: list[int],
    ) -> Tensor:
        """The same for rows that are too long for registers, which takes a pass over columns."""
        width = x.shape[-1]
        rows = x.size // width
        statistics = self.empty((rows, 2))
        types = {"grad": stored_as(grad), "x": stored_as(x)}
        self.launch(
            teams.spec(
                norm_grad_rows,
                dx=stored_as(dx),
                weight=stored_as(weight),
                centred=centred,
                strided=strided,
                **types,
            ),
            writes=[dx, statistics],
            reads=[grad, x, weight],
            values=[rows, width, float(eps), *places],
            groups=teams.grid(rows),
            flops=12.0 * x.size,
        )
        across, down, _ = _COLUMN_TILE
        tiles = -(-width // (across * teams.lanes))
        block = down * -(-rows // (down * max(1, _MOST_BLOCKS // tiles)))
        partial = self.empty((-(-rows // block), 2 if centred else 1, width))
        self.launch(
            KernelSpec.of(
                norm_columns, workgroup=_COLUMN_TILE, centred=centred, strided=strided, lanes=teams.lanes, **types
            ),
            writes=[partial],
            reads=[grad, x, statistics],
            values=[rows, width, block, *places],
            groups=(tiles, partial.shape[0], 1),
            flops=4.0 * x.size,
        )
        return partial
