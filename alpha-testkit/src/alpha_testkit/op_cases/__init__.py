"""The table of op cases: one row for each op of `Backend`, split into files like `alpha_core.ops`."""

from alpha_testkit.op_cases import (
    activation,
    attention,
    creation,
    decoding,
    dropout,
    elementwise,
    indexing,
    matmul,
    movement,
    normalization,
    reduction,
    softmax,
    update,
)
from alpha_testkit.op_cases.case import WORKING, Case, ErrorCase, OpCase, Sample, Stored, Stream

__all__ = ["OP_CASES", "WORKING", "Case", "ErrorCase", "OpCase", "Sample", "Stored", "Stream"]

OP_CASES: dict[str, OpCase] = {
    row.name: row
    for family in (
        creation,
        elementwise,
        movement,
        reduction,
        matmul,
        indexing,
        dropout,
        softmax,
        normalization,
        activation,
        attention,
        update,
        decoding,
    )
    for row in family.CASES
}
