"""Layer norm and RMS norm: a subgroup or a workgroup for each row, wherever it stands as long as it has no gaps."""

from collections.abc import Sequence

import attrs

from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.tensor import Tensor
from alpha_helios.kernels.norm import norm, norm_columns, norm_grad, norm_grad_rows
from alpha_helios.ops.columns import ColumnSums
from alpha_helios.ops.rows import RowKernels, RowTeams, row_lanes, row_places, row_teams, stored_as

__all__ = ["NormalizationKernels"]

_MOST_HELD, _MOST_HELD_IN_GRAD = 32, 24
"""Elements of a row that an invocation keeps in registers; of the gradient's, there are five such arrays."""
_MOST_BLOCKS = 512
"""Blocks of rows whose sums for the weight are taken by a workgroup each."""
_COLUMN_TILE = (32, 8, 1)


class NormalizationKernels(ColumnSums, RowKernels):
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
        self._check_norm(op, x, weight, bias)
        out = self.result(x.shape, x.dtype, [x])
        if x.size == 0:
            return out
        (x,), strided, places = row_places([x], self._copied)
        columns = [self.contiguous(column) for column in columns]
        width = x.shape[-1]
        rows = x.size // width
        types = {
            "out": stored_as(out),
            "x": stored_as(x),
            "weight": stored_as(weight),
            "bias": None if bias is None else stored_as(bias),
        }

        def make(teams: RowTeams) -> Launch:
            return Launch(
                teams.spec(norm, centred=centred, strided=strided, chunks=teams.chunks, **types),
                writes=(out,),
                reads=(x, *columns),
                values=(rows, width, float(eps), *places[0]),
                flops=8.0 * x.size,
                groups=teams.grid(rows),
            )

        ways = row_teams(self.info, width, row_lanes(width, x, *columns), _MOST_HELD)
        self._launch_rows(f"{op} {' '.join(map(str, types.values()))}", rows, width, ways, make)
        return out

    def _normalized_grad(
        self, op: str, grad: Tensor, x: Tensor, weight: Tensor, eps: float, *, centred: bool
    ) -> list[Tensor]:
        """Returns the gradients for x and weight, and the one for bias if `centred`."""
        self._require_computed(op, grad, x, weight)
        self._check_norm_grad(op, grad, x, weight)
        dx = self.result(x.shape, x.dtype, [grad, x])
        sums = 2 if centred else 1
        if x.size == 0:
            return [dx, *(self.zeros(weight.shape, x.dtype) for _ in range(sums))]
        (grad, x), strided, places = row_places([grad, x], self._copied)
        task = _Gradient(op, dx, grad, x, self.contiguous(weight), eps, centred, strided, (*places[0], *places[1]))
        ways = row_teams(self.info, task.width, row_lanes(task.width, grad, x, task.weight), _MOST_HELD_IN_GRAD)
        partial = self._held_gradient(task, ways) if ways[0].chunks else self._long_gradient(task, ways)
        return [dx, *(self._column_sum(partial, place) for place in range(sums))]

    def _held_gradient(self, task: "_Gradient", ways: Sequence[RowTeams]) -> Tensor:
        """Writes dx, and returns the sums over blocks of rows: (blocks, 1 or 2, width)."""

        def make(teams: RowTeams) -> Launch:
            block = -(-task.rows // min(_MOST_BLOCKS, -(-task.rows // teams.count)))
            partial = self.empty((-(-task.rows // block), task.sums, task.width))
            return Launch(
                teams.spec(norm_grad, chunks=teams.chunks, **task.types, **task.parameters),
                writes=(task.dx, partial),
                reads=(task.grad, task.x, task.weight),
                values=(task.rows, task.width, block, float(task.eps), *task.places),
                flops=16.0 * task.x.size,
                groups=(partial.shape[0], 1, 1),
            )

        return self._launch_rows(task.name, task.rows, task.width, ways, make).writes[1]

    def _long_gradient(self, task: "_Gradient", ways: Sequence[RowTeams]) -> Tensor:
        """The same for rows that are too long for registers, which takes a pass over columns."""
        statistics = self.empty((task.rows, 2))

        def make(teams: RowTeams) -> Launch:
            return Launch(
                teams.spec(norm_grad_rows, **task.types, **task.parameters),
                writes=(task.dx, statistics),
                reads=(task.grad, task.x, task.weight),
                values=(task.rows, task.width, float(task.eps), *task.places),
                flops=12.0 * task.x.size,
                groups=teams.grid(task.rows),
            )

        self._launch_rows(task.name, task.rows, task.width, ways, make)
        across, down, _ = _COLUMN_TILE
        lanes = ways[0].lanes
        tiles = -(-task.width // (across * lanes))
        block = down * -(-task.rows // (down * max(1, _MOST_BLOCKS // tiles)))
        partial = self.empty((-(-task.rows // block), task.sums, task.width))
        types = {name: task.types[name] for name in ("grad", "x")}
        self.launch(
            KernelSpec.of(norm_columns, workgroup=_COLUMN_TILE, lanes=lanes, **types, **task.parameters),
            writes=[partial],
            reads=[task.grad, task.x, statistics],
            values=[task.rows, task.width, block, *task.places],
            groups=(tiles, partial.shape[0], 1),
            flops=4.0 * task.x.size,
        )
        return partial


@attrs.frozen(eq=False)
class _Gradient:
    """What is asked of the kernels of a gradient."""

    op: str
    dx: Tensor
    grad: Tensor
    x: Tensor
    weight: Tensor
    eps: float
    centred: bool
    strided: bool
    places: tuple[int, ...]

    @property
    def width(self) -> int:
        return self.x.shape[-1]

    @property
    def rows(self) -> int:
        return self.x.size // self.width

    @property
    def sums(self) -> int:
        """Sums over rows: for the weight and, `centred`, for the bias."""
        return 2 if self.centred else 1

    @property
    def types(self) -> dict[str, str]:
        tensors = {"dx": self.dx, "grad": self.grad, "x": self.x, "weight": self.weight}
        return {name: stored_as(tensor) for name, tensor in tensors.items()}

    @property
    def parameters(self) -> dict[str, bool]:
        return {"centred": self.centred, "strided": self.strided}

    @property
    def name(self) -> str:
        return f"{self.op} {' '.join(self.types.values())}"
