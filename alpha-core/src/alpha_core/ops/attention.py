"""Causal attention and rotary positions."""

import math

from alpha_core.dtype import DType
from alpha_core.errors import OpError
from alpha_core.op import op
from alpha_core.ops.activation import ActivationOps
from alpha_core.random import RandomStream
from alpha_core.shape import require_dtype, require_shape
from alpha_core.tensor import Tensor

__all__ = ["AttentionOps"]


class AttentionOps(ActivationOps):
    """Query i of Tq sees keys 0 ... i + (Tk - Tq): with as many keys as queries, itself and the past."""

    @op
    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        soft_cap: float = 0.0,
        dropout_rate: float = 0.0,
        random: RandomStream | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Causal softmax(cap(q k^T / sqrt(D))) v, and the logarithm of each softmax's denominator for the gradient.

        query (B, H, Tq, D), key and value (B, H, Tk, D) with Tq <= Tk give (B, H, Tq, D) and (B, H, Tq).
        `soft_cap` c > 0 replaces each score s by c * tanh(s / c). Dropout with rate > 0 needs `random` and acts on the
        weights: element (h, i, j) of row b has the number (h * Tq + i) * Tk + j.
        """
        self._check_attention("attention", query, key, value, dropout_rate, random)
        scores, _ = self._masked_scores(query, key, soft_cap)  # (B, H, Tq, Tk)
        largest = self.max(scores, -1, True)
        exponentials = self.exp(self.sub(scores, largest))
        denominator = self.sum(exponentials, -1, True)
        weights = self.div(exponentials, denominator)
        if random is not None and dropout_rate > 0:
            weights = self.dropout(weights, dropout_rate, random)
        log_sum_exp = self.add(largest, self.log(denominator))
        return self.matmul(weights, value), self.reshape(log_sum_exp, query.shape[:3])

    @op
    def attention_grad(
        self,
        grad: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        out: Tensor,
        log_sum_exp: Tensor,
        soft_cap: float = 0.0,
        dropout_rate: float = 0.0,
        random: RandomStream | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients for query, key, value; weights recomputed (Dao et al. 2022, "FlashAttention").

        P = exp(S - log_sum_exp); dP = (grad v^T) * mask; dS = P * (dP - sum(grad * out)); dq = dS k / sqrt(D);
        dk = dS^T q / sqrt(D); dv = (P * mask)^T grad. The soft cap multiplies dS by 1 - tanh(s / c)^2.
        """
        self._check_attention_grad(grad, query, key, value, out, log_sum_exp, dropout_rate, random)
        scores, cap_slope = self._masked_scores(query, key, soft_cap)
        weights = self.exp(self.sub(scores, self.reshape(log_sum_exp, (*log_sum_exp.shape, 1))))
        dweights = self.matmul(grad, value, transpose_b=True)
        dropped = weights
        if random is not None and dropout_rate > 0:
            mask = self.dropout_mask(weights.shape, dropout_rate, random, weights.dtype)
            dropped, dweights = self.mul(weights, mask), self.mul(dweights, mask)
        dvalue = self.matmul(dropped, grad, transpose_a=True)
        row = self.sum(self.mul(grad, out), -1, True)  # sum_j P_ij dP_ij, because out = P v
        dscores = self.mul(weights, self.sub(dweights, row))
        if cap_slope is not None:
            dscores = self.mul(dscores, cap_slope)
        dscores = self.mul(dscores, 1.0 / math.sqrt(query.shape[-1]))
        return self.matmul(dscores, key), self.matmul(dscores, query, transpose_a=True), dvalue

    @op
    def rotary(self, x: Tensor, cosine: Tensor, sine: Tensor, inverse: bool = False) -> Tensor:
        """Rotates pairs (x[i], x[i + D/2]) by position-dependent angles (Su et al. 2021, "RoFormer"; half split).

        x (..., T, D), cosine and sine (T, D/2). `inverse` rotates back, which is also the gradient.
        """
        self._check_rotary(x, cosine, sine)
        half = x.shape[-1] // 2
        first, second = self.slice(x, -1, 0, half), self.slice(x, -1, half, 2 * half)
        turn = self.neg(sine) if inverse else sine
        return self.cat(
            [
                self.sub(self.mul(first, cosine), self.mul(second, turn)),
                self.add(self.mul(second, cosine), self.mul(first, turn)),
            ],
            -1,
        )

    def _masked_scores(self, query: Tensor, key: Tensor, soft_cap: float) -> tuple[Tensor, Tensor | None]:
        """Returns capped scores with -inf in the future, and the slope of the cap (None without one)."""
        queries, keys = query.shape[2], key.shape[2]
        scores = self.mul(self.matmul(query, key, transpose_b=True), 1.0 / math.sqrt(query.shape[-1]))
        slope = None
        if soft_cap > 0:
            capped = self.tanh(self.mul(scores, 1.0 / soft_cap))
            slope = self.sub(1.0, self.square(capped))
            scores = self.mul(capped, soft_cap)
        last_visible = self.add(self.reshape(self.arange(queries), (queries, 1)), keys - queries)
        future = self.greater(self.arange(keys), last_visible)  # (Tq, Tk)
        return self.where(future, float("-inf"), scores), slope

    @staticmethod
    def _check_attention(
        op: str, query: Tensor, key: Tensor, value: Tensor, dropout_rate: float, random: RandomStream | None
    ) -> None:
        if query.ndim != 4:
            raise OpError(f"`{op}`: `query` has shape {list(query.shape)}; (batch, heads, time, width) is needed")
        batch, heads, time, width = query.shape
        keys = key.shape[2] if key.ndim == 4 else -1
        require_shape(op, "key", key, (batch, heads, keys, width))
        require_shape(op, "value", value, key.shape)
        if keys < time:
            raise OpError(f"`{op}`: {time} queries but only {keys} keys; a query must see at least itself")
        if dropout_rate <= 0:
            return
        if random is None:
            raise OpError(f"`{op}`: dropout with rate {dropout_rate} needs a random stream")
        if dropout_rate >= 1:
            raise OpError(f"`{op}`: dropout rate {dropout_rate} is outside [0, 1)")
        require_dtype(op, "step", random.step, DType.i32)
        require_dtype(op, "rows", random.rows, DType.i32)
        require_shape(op, "rows", random.rows, (batch,))

    @classmethod
    def _check_attention_grad(
        cls,
        grad: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        out: Tensor,
        log_sum_exp: Tensor,
        dropout_rate: float,
        random: RandomStream | None,
    ) -> None:
        cls._check_attention("attention_grad", query, key, value, dropout_rate, random)
        require_shape("attention_grad", "grad", grad, query.shape)
        require_shape("attention_grad", "out", out, query.shape)
        require_shape("attention_grad", "log_sum_exp", log_sum_exp, query.shape[:3])

    @staticmethod
    def _check_rotary(x: Tensor, cosine: Tensor, sine: Tensor) -> None:
        *_, time, width = x.shape
        if width % 2:
            raise OpError(f"`rotary`: the last axis has odd length {width}")
        for name, table in (("cosine", cosine), ("sine", sine)):
            require_shape("rotary", name, table, (time, width // 2))
