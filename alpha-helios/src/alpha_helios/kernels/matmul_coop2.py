"""What NV_cooperative_matrix2 adds to matrix products: sums that are finished where they are."""

from alpha_helios.kernels.block import Block
from alpha_helios.spirv.cooperative import Matrix
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import i64
from alpha_helios.spirv.value import Value

__all__ = ["store_elements"]


def store_elements(k: Kernel, block: Block, sums: Matrix, row: Value, column: Value) -> None:
    """Finishes what of a matrix of sums lies within the result; it begins at a row and a column of that.

    The device calls a function for each element, wherever it is. That function stores, and returns the sum as it was.
    """
    output = block.output

    def store(y: Value, x: Value, value: Value, row: Value, column: Value, *given: Value) -> Value:
        rows, columns, above, *addresses = given
        here, there = row + y, column + x
        with k.if_((here < rows) & (there < columns)):
            index = (above + k.convert(here, i64)) * k.convert(columns, i64) + k.convert(there, i64)
            output.reached_by(addresses).store(value, index, there)
        return value

    k.coop_per_element(sums, store, row, column, block.rows, block.columns, block.above, *output.addresses)
