"""Ops of writing text token by token: quantized weights, a cache of keys and values, and the choice of a token."""

import math

from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.op import op
from alpha_core.ops.update import UpdateOps
from alpha_core.shape import matmul_shape, require_dtype, require_shape
from alpha_core.tensor import Shape, Tensor

__all__ = ["DecodingOps"]

_LEAST_TEMPERATURE = 1e-30
"""Below it, f32 would divide by zero; differences of logits are so much larger that it is temperature 0 already."""


class DecodingOps(UpdateOps):
    """Inference only, without gradients. B sequences are decoded together, one token each, each at its own position.

    A quantized weight is stored in bf16, or in i8 with one scale for each row: it stands for weight[m] * scale[m].
    """

    @op
    def quantized_matmul(self, x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
        """x (weight * scale)^T: out[n, m] = scale[m] * sum_k x[n, k] weight[m, k].

        x (N, K) floating, weight (M, K) bf16 or i8, scale (M,) of x's dtype, 1 where it is None, give (N, M) in x's
        dtype. Sums are those of `matmul`: nothing is rounded to the weight's dtype but the weight.
        """
        self._check_quantized_matmul(x, weight, scale)
        product = self.matmul(x, self.cast(weight, x.dtype), transpose_b=True)
        return product if scale is None else self.mul(product, scale)

    @op
    def quantized_embedding(
        self, weight: Tensor, ids: Tensor, scale: Tensor | None = None, dtype: DType = DType.f32
    ) -> Tensor:
        """Rows of a table times their scales: weight (V, E) bf16 or i8, ids i32 (...), scale (V,) give (..., E).

        The scale and the result have the floating `dtype`.
        """
        self._check_quantized_embedding(weight, ids, scale)
        rows = self.cast(self.embedding(weight, ids), dtype)
        if scale is None:
            return rows
        return self.mul(rows, self.embedding(self.reshape(scale, (scale.size, 1)), ids))

    @op(writes=("destination",))
    def write_rows(self, destination: Tensor, source: Tensor, index: Tensor) -> None:
        """destination[b, :, index[b]] = source[b], for every dtype. All else stays.

        destination (B, H, C, D), source (B, H, D), index i32 (B,), whose entries are 0 ... C - 1 (callers see to it).
        """
        self._check_write_rows(destination, source, index)
        batch, heads, capacity, width = destination.shape
        here = self.equal(self.reshape(self.arange(capacity), (capacity, 1)), self.reshape(index, (batch, 1, 1, 1)))
        rows = self.reshape(source, (batch, heads, 1, width))
        self.assign(destination, self.where(here, rows, destination))

    @op
    def cached_attention(
        self, query: Tensor, key: Tensor, value: Tensor, lengths: Tensor, soft_cap: float = 0.0
    ) -> Tensor:
        """Attention of one token of each sequence to what is cached: softmax(cap(q k^T / sqrt(D))) v.

        query (B, H, D), key and value (B, H, C, D), lengths i32 (B,), give (B, H, D). Sequence b sees its first
        lengths[b] entries, 1 ... C; the others are finite and do not matter. `soft_cap` is that of `attention`.
        """
        self._check_cached_attention(query, key, value, lengths)
        batch, heads, capacity, width = key.shape
        scores = self.matmul(self.reshape(query, (batch, heads, 1, width)), key, transpose_b=True)  # (B, H, 1, C)
        scores = self.mul(scores, 1.0 / math.sqrt(width))
        if soft_cap > 0:
            scores = self.mul(self.tanh(self.mul(scores, 1.0 / soft_cap)), soft_cap)
        visible = self.greater(self.reshape(lengths, (batch, 1, 1, 1)), self.arange(capacity))  # (B, 1, 1, C)
        weights = self.softmax(self.where(visible, scores, float("-inf")))
        return self.reshape(self.matmul(weights, value), query.shape)

    @op
    def choose_token(
        self,
        logits: Tensor,
        uniform: Tensor,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
    ) -> Tensor:
        """Draws one token for each row from limited probabilities; `uniform` holds the random numbers, in (0, 1).

        logits (B, V) and uniform (B,) give i32 (B,). At temperature 0: the largest logit, of equal ones the lowest id.
        Otherwise, in this order:

        - candidates are the `top_k` largest logits (0: all), largest first, equal ones by id
        - p = exp((logit - largest) / temperature), divided by their sum
        - `top_p` below 1 keeps the fewest first candidates whose p reach it
        - `min_p` above 0 keeps those with p >= min_p * the first one's
        - the token is the first one, by id, up to which the kept p add up to more than uniform * their sum

        The four settings are fixed when a program is recorded. NaN among the logits gives an arbitrary token.
        """
        divisor = self._check_choice(logits, uniform, temperature, top_k, top_p, min_p)
        if divisor == 0:
            return self.argmax(logits, 1)
        size = logits.shape[1]
        if 0 < top_k < size or top_p < 1:
            candidates, ids = self.top_k(logits, min(top_k or size, size))
            kept = self._limited(self._relative(candidates, divisor), top_p, min_p)
            kept = self.gather_grad(kept, ids, 1, size)
        else:
            kept = self._limited(self._relative(logits, divisor), 1.0, min_p)
        return self._drawn(kept, uniform)

    @staticmethod
    def _check_quantized_matmul(x: Tensor, weight: Tensor, scale: Tensor | None) -> Shape:
        """Returns the shape of the product."""
        require_dtype("quantized_matmul", "weight", weight, DType.bf16, DType.i8)
        if x.ndim != 2 or weight.ndim != 2:
            raise ShapeError(f"`quantized_matmul`: {list(x.shape)} by {list(weight.shape)}: two dimensions are needed")
        if scale is not None:
            require_shape("quantized_matmul", "scale", scale, weight.shape[:1])
        return matmul_shape(x.shape, weight.shape, False, True)

    @classmethod
    def _check_quantized_embedding(cls, weight: Tensor, ids: Tensor, scale: Tensor | None) -> None:
        require_dtype("quantized_embedding", "weight", weight, DType.bf16, DType.i8)
        cls._check_embedding("quantized_embedding", weight, ids)
        if scale is not None:
            require_shape("quantized_embedding", "scale", scale, weight.shape[:1])

    @staticmethod
    def _check_write_rows(destination: Tensor, source: Tensor, index: Tensor) -> None:
        if destination.ndim != 4:
            raise ShapeError(
                f"`write_rows`: `destination` has shape {list(destination.shape)}; 4 dimensions are needed"
            )
        batch, heads, _, width = destination.shape
        require_shape("write_rows", "source", source, (batch, heads, width))
        require_dtype("write_rows", "source", source, destination.dtype)
        require_shape("write_rows", "index", index, (batch,))
        require_dtype("write_rows", "index", index, DType.i32)

    @staticmethod
    def _check_cached_attention(query: Tensor, key: Tensor, value: Tensor, lengths: Tensor) -> None:
        if query.ndim != 3:
            raise ShapeError(
                f"`cached_attention`: `query` has shape {list(query.shape)}; (batch, heads, width) is needed"
            )
        batch, heads, width = query.shape
        capacity = key.shape[2] if key.ndim == 4 else -1
        require_shape("cached_attention", "key", key, (batch, heads, capacity, width))
        require_shape("cached_attention", "value", value, key.shape)
        require_shape("cached_attention", "lengths", lengths, (batch,))
        require_dtype("cached_attention", "lengths", lengths, DType.i32)

    @staticmethod
    def _check_choice(
        logits: Tensor, uniform: Tensor, temperature: float, top_k: int, top_p: float, min_p: float
    ) -> float:
        """Returns what differences of logits are divided by; 0 asks for the largest logit."""
        if logits.ndim != 2 or logits.shape[1] == 0:
            raise ShapeError(f"`choose_token`: `logits` has shape {list(logits.shape)}; (rows, tokens) is needed")
        require_shape("choose_token", "uniform", uniform, logits.shape[:1])
        if temperature < 0 or top_k < 0 or not 0 < top_p <= 1 or not 0 <= min_p <= 1:
            settings = f"temperature {temperature}, top_k {top_k}, top_p {top_p}, min_p {min_p}"
            raise OpError(f"`choose_token`: one of {settings} is outside its range")
        return float(max(temperature, _LEAST_TEMPERATURE)) if temperature else 0.0

    def _relative(self, logits: Tensor, divisor: float) -> Tensor:
        """Returns probabilities as shares of the largest one."""
        return self.exp(self.div(self.sub(logits, self.max(logits, 1, True)), divisor))

    def _limited(self, shares: Tensor, top_p: float, min_p: float) -> Tensor:
        """Returns 0 in place of what `top_p` (for descending shares) and `min_p` leave out."""
        if top_p < 1:
            rows, size = shares.shape
            reached = self.slice(self._running_sum(shares), 1, 0, size - 1)
            before = self.cat([self.zeros((rows, 1), shares.dtype), reached], 1)
            shares = self.where(self.greater(self.mul(self.sum(shares, 1, True), top_p), before), shares, 0.0)
        return shares if min_p == 0 else self.where(self.greater(min_p, shares), 0.0, shares)

    def _drawn(self, shares: Tensor, uniform: Tensor) -> Tensor:
        # Sums of different lengths are rounded differently, so they may go down a little where shares are 0: only what
        # was kept counts, and the largest sum stands for that of all.
        possible = self.greater(shares, 0.0)
        sums = self.mul(self._running_sum(shares), possible)
        bound = self.mul(self.max(sums, 1, True), self.reshape(uniform, (uniform.size, 1)))
        return self.argmax(self.mul(self.greater(sums, bound), possible), 1)

    def _running_sum(self, x: Tensor) -> Tensor:
        """Returns the sums of the first 1, 2, ... elements along the last axis, by doubling (Hillis, Steele 1986)."""
        length, reach = x.shape[-1], 1
        while reach < length:
            x = self.add(x, self.slice_grad(self.slice(x, -1, 0, length - reach), -1, reach, length))
            reach *= 2
        return x
