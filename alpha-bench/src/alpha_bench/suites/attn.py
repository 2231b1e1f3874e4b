"""The suite `attn`: causal attention, forward and backward, over head sizes and lengths."""

import numpy as np

from alpha_bench.case import Case, Suite, Work
from alpha_bench.session import Session
from alpha_bench.suites.program_work import program_work

__all__ = ["SUITE"]

_HEADS = 4
_HEAD_SIZES = (16, 32, 64, 128)
_LENGTHS = (64, 256, 1024)
_TOKENS = 2048
"""Tokens in a batch, however long its sequences are."""


def cases(session: Session) -> list[Case]:
    sizes = [(8, 16)] if session.quick else [(size, length) for size in _HEAD_SIZES for length in _LENGTHS]
    tokens = 32 if session.quick else _TOKENS
    return [
        _case(size, length, max(1, tokens // length), backward=backward, precision=precision)
        for size, length in sizes
        for backward in (False, True)
        for precision in session.precisions
    ]


def _case(size: int, length: int, batch: int, *, backward: bool, precision: str) -> Case:
    shape = (batch, _HEADS, length, size)
    pairs = batch * _HEADS * length * (length + 1) / 2  # of a query and a key that it sees
    elements = batch * _HEADS * length * size

    def prepare(session: Session) -> Work:
        session.multiply_in(precision)
        b = session.backend
        values = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
        query, key, value, grad = (b.upload(values[i]) for i in range(4))
        if not backward:
            return program_work(
                session,
                lambda: b.attention(query, key, value),
                flops=4.0 * pairs * size,  # scores and weighted values
                bytes=4.0 * 4 * elements,
            )
        out, log_sum_exp = b.attention(query, key, value)
        return program_work(
            session,
            lambda: b.attention_grad(grad, query, key, value, out, log_sum_exp),
            flops=10.0 * pairs * size,  # scores again, and the gradients of weights, query, key and value
            bytes=4.0 * 8 * elements,
        )

    direction = "backward" if backward else "forward"
    return Case(
        suite="attn",
        id=f"d{size}-t{length}-{direction}-{precision}",
        parameters={
            "batch": batch,
            "heads": _HEADS,
            "length": length,
            "head_size": size,
            "direction": direction,
            "precision": precision,
        },
        prepare=prepare,
    )


SUITE = Suite(name="attn", summary="causal attention, forward and backward", cases=cases)
