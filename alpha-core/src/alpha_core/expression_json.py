"""Reading expressions that were stored as JSON, from files that may be damaged or hostile."""

import reprlib
from typing import Any

from alpha_core.errors import OpError
from alpha_core.expression import BINARY_OPS, UNARY_OPS, Binary, Coefficient, Constant, Expression, Unary, X

__all__ = ["expression_from_json"]

MAX_NODES = 4096
MAX_DEPTH = 100


def expression_from_json(data: Any) -> Expression:
    """Reads what `Expression.to_json` wrote; raises `OpError` for anything else."""
    remaining = MAX_NODES

    def read(node: Any, depth: int) -> Expression:
        nonlocal remaining
        remaining -= 1
        if remaining < 0 or depth > MAX_DEPTH:
            raise OpError(f"the activation has more than {MAX_NODES} nodes or is nested more than {MAX_DEPTH} deep")
        match node:
            case ["x"]:
                return X
            case ["constant", float() | int() as value] if _is_number(value):
                return Constant(value)
            case ["coefficient", str() as name, float() | int() as initial] if _is_number(initial):
                return Coefficient(name, initial)
            case [str() as op, operand] if op in UNARY_OPS:
                return Unary(op, read(operand, depth + 1))
            case [str() as op, left, right] if op in BINARY_OPS:
                return Binary(op, read(left, depth + 1), read(right, depth + 1))
        raise OpError(
            f"`{reprlib.repr(node)}` is no node of an expression",
            hint=f"nodes are x, constant, coefficient, {', '.join((*UNARY_OPS, *BINARY_OPS))}",
        )

    return read(data, 0)


def _is_number(value: float) -> bool:
    """Whether a JSON number fits a float; `true` is no number, and integers have no limit."""
    return not isinstance(value, bool) and abs(value) < 2**1023
