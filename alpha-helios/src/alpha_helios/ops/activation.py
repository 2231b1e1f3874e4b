"""Activations: a kernel for each expression."""

import math
from collections.abc import Sequence

import attrs

from alpha_core.expression import Expression
from alpha_core.recording.launch import Following, KernelSpec
from alpha_core.recording.storage import view_of
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.activation import ROWS_EACH, bias_activation, bias_activation_grad
from alpha_helios.ops.columns import ColumnSums
from alpha_helios.ops.rows import stored_as

__all__ = ["ActivationKernels"]

_INVOCATIONS = 256
_MOST_ACROSS = 64
"""Vectors of a row that a workgroup has, where there are columns."""
_MOST_WORKGROUPS = 2048
"""Of a gradient with sums: more give more sums to add up afterwards."""


class ActivationKernels(ColumnSums):
    def bias_activation(
        self, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor] = ()
    ) -> Tensor:
        columns = self._columns("bias_activation", x, bias, expression, coefficients)
        out = self.result(x.shape, x.dtype, [x])
        if x.size:
            x = self.contiguous(x)
            addend, rest = (None, columns) if bias is None else (columns[0], columns[1:])
            tiles = _tiles(x, columns, [x])
            self.launch(
                KernelSpec.of(
                    bias_activation, out=stored_as(out), **_parameters(x, addend, rest, expression), **tiles.parameters
                ),
                writes=[out],
                reads=[x, *columns],
                follows=[Following(x, out, addend, expression, tuple(rest))],
                values=[x.size, tiles.width],
                groups=tiles.grid(ROWS_EACH * tiles.down),
                flops=float(x.size * len(expression.nodes())),
            )
        return out

    def bias_activation_grad(
        self,
        grad: Tensor,
        x: Tensor,
        bias: Tensor | None,
        expression: Expression,
        coefficients: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        columns = self._columns("bias_activation_grad", x, bias, expression, coefficients)
        self._require_computed("bias_activation_grad", grad, x)
        require_shape("bias_activation_grad", "grad", grad, x.shape)
        dx = self.result(x.shape, x.dtype, [grad, x])
        if x.size == 0:
            sums = [self.zeros(column.shape, x.dtype) for column in columns]
        else:
            addend, rest = (None, columns) if bias is None else (columns[0], columns[1:])
            partial = self._activation_gradient(dx, grad, x, addend, expression, rest)
            sums = [self._column_sum(partial, place) for place in range(len(columns))]
        return dx, sums.pop(0) if bias is not None else None, sums

    def _activation_gradient(
        self,
        dx: Tensor,
        grad: Tensor,
        x: Tensor,
        bias: Tensor | None,
        expression: Expression,
        coefficients: Sequence[Tensor],
    ) -> Tensor:
        """Writes dx, and returns the sums over blocks of rows: (blocks, bias and coefficients, columns)."""
        grad, x = self.contiguous(grad), self.contiguous(x)
        columns = [*([] if bias is None else [bias]), *coefficients]
        tiles = _tiles(x, columns, [grad, x])
        block = ROWS_EACH * tiles.down
        if columns:
            block = max(block, tiles.down * -(-tiles.rows * tiles.across // (tiles.down * _MOST_WORKGROUPS)))
        partial = self.empty((-(-tiles.rows // block), len(columns), tiles.width))
        self.launch(
            KernelSpec.of(
                bias_activation_grad,
                dx=stored_as(dx),
                grad=stored_as(grad),
                **_parameters(x, bias, coefficients, expression),
                **tiles.parameters,
            ),
            writes=[dx, partial] if columns else [dx],
            reads=[grad, x, *columns],
            values=[x.size, tiles.width, tiles.rows, block],
            groups=tiles.grid(block),
            flops=float(2 * x.size * len(expression.nodes())),
        )
        return partial

    def _columns(
        self, op: str, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor]
    ) -> list[Tensor]:
        """Checks the arguments; returns the bias, if there is one, and the coefficients."""
        columns = [*([] if bias is None else [bias]), *coefficients]
        self._require_computed(op, x, *columns)
        self._check_activation(op, x, bias, expression, coefficients)
        return [self.contiguous(column) for column in columns]


@attrs.frozen
class _Tiles:
    """x as rows of the columns' length, or of any length where there are no columns, and how workgroups cover it."""

    rows: int
    width: int
    lanes: int
    workgroup: tuple[int, int, int]

    @property
    def across(self) -> int:
        """Workgroups beside each other."""
        return -(-self.width // (self.workgroup[0] * self.lanes))

    @property
    def down(self) -> int:
        """Rows that a workgroup has at once."""
        return self.workgroup[1]

    @property
    def parameters(self) -> dict[str, object]:
        return {"workgroup": self.workgroup, "lanes": self.lanes}

    def grid(self, block: int) -> tuple[int, int, int]:
        """Returns the workgroups, of which each takes `block` rows."""
        return grid(self.across * -(-self.rows // block))


def _tiles(x: Tensor, columns: Sequence[Tensor], large: Sequence[Tensor]) -> _Tiles:
    places = [view_of(tensor).offset for tensor in (*large, *columns)]
    if not columns:
        lanes = math.gcd(4, x.size, *places)
        width = _INVOCATIONS * lanes
        return _Tiles(-(-x.size // width), width, lanes, (_INVOCATIONS, 1, 1))
    width = x.shape[-1]
    lanes = math.gcd(4, width, *places)
    across = min(_MOST_ACROSS, 1 << (width // lanes - 1).bit_length())
    return _Tiles(x.size // width, width, lanes, (across, _INVOCATIONS // across, 1))


def _parameters(
    x: Tensor, bias: Tensor | None, coefficients: Sequence[Tensor], expression: Expression
) -> dict[str, object]:
    return {
        "x": stored_as(x),
        "bias": None if bias is None else stored_as(bias),
        "coefficients": tuple(map(stored_as, coefficients)),
        "expression": expression,
    }
