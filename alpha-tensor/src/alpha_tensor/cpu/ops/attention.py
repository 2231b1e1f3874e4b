"""Attention and rotary positions."""

import math

import attrs

from alpha_core.dtype import DType
from alpha_core.random import RandomStream, dropout_threshold
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import View, view_of
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu.kernels.attention import attention
from alpha_tensor.cpu.kernels.attention_bf16 import attention_bf16, attention_bf16_words
from alpha_tensor.cpu.kernels.attention_cached import cached_attention
from alpha_tensor.cpu.kernels.attention_grad import attention_grad
from alpha_tensor.cpu.kernels.attention_grad_bf16 import attention_grad_bf16, attention_grad_bf16_words
from alpha_tensor.cpu.kernels.attention_tile import LARGEST_WIDTH
from alpha_tensor.cpu.kernels.rotary import rotary
from alpha_tensor.cpu.ops.reduction import ReductionKernels

__all__ = ["AttentionKernels"]

_LOG2_E = math.log2(math.e)
_MOST_PARTS = 64
"""Threads that share attention on tiles: each has a workspace, which stays in its cache from head to head."""


class AttentionKernels(ReductionKernels):
    """Queries, keys and values are read where they are; results stand as (B, T, H, D), which the next product reads."""

    matmul_dtype: DType

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        soft_cap: float = 0.0,
        dropout_rate: float = 0.0,
        random: RandomStream | None = None,
    ) -> tuple[Tensor, Tensor]:
        self._check_attention("attention", query, key, value, dropout_rate, random)
        self._require_computed("attention", query, key, value)
        batch, heads, queries, width = query.shape
        if width > LARGEST_WIDTH:
            return super().attention(query, key, value, soft_cap, dropout_rate, random)
        (out,) = self._head_tensors(batch, heads, queries, width, 1)
        log_sum_exp = self.empty((batch, heads, queries), DType.f32)
        drops = self._dropout_stream(dropout_rate, random)
        tensors = [self._rows_contiguous(x) for x in (query, key, value)]
        kernel, workspace, slots = attention, [], []
        if self._on_tiles:
            kernel, slots = attention_bf16, [min(batch * heads, _MOST_PARTS)]
            workspace = [self.empty((slots[0], attention_bf16_words(key.shape[2], width)))]
        self.launch(
            KernelSpec.of(kernel, soft_cap=soft_cap > 0, dropout=drops is not None),
            writes=[out, log_sum_exp, *workspace],
            reads=[*tensors, *_stream_tensors(drops)],
            values=[
                *slots,
                *(batch, heads, queries, key.shape[2], width),
                *_strides(*tensors, out),
                *_score_scales(width, soft_cap),
                *_dropout_values(dropout_rate, drops),
            ],
            flops=4.0 * width * _visible_scores(query.shape, key.shape),
        )
        return out, log_sum_exp

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
        self._check_attention_grad(grad, query, key, value, out, log_sum_exp, dropout_rate, random)
        self._require_computed("attention_grad", grad, query, key, value, out, log_sum_exp)
        batch, heads, queries, width = query.shape
        if width > LARGEST_WIDTH:
            return super().attention_grad(grad, query, key, value, out, log_sum_exp, soft_cap, dropout_rate, random)
        keys = key.shape[2]
        if queries == keys:
            dquery, dkey, dvalue = self._head_tensors(batch, heads, queries, width, 3)
        else:
            (dquery,) = self._head_tensors(batch, heads, queries, width, 1)
            dkey, dvalue = self._head_tensors(batch, heads, keys, width, 2)
        drops = self._dropout_stream(dropout_rate, random)
        grad, query, key, value, out = (self._rows_contiguous(x) for x in (grad, query, key, value, out))
        kernel, workspace, slots = attention_grad, [], []
        if self._on_tiles:
            kernel, slots = attention_grad_bf16, [min(batch * heads, _MOST_PARTS)]
            workspace = [self.empty((slots[0], attention_grad_bf16_words(keys, width)))]
        self.launch(
            KernelSpec.of(kernel, soft_cap=soft_cap > 0, dropout=drops is not None),
            writes=[dquery, dkey, dvalue, *workspace],
            reads=[grad, query, key, value, out, self.contiguous(log_sum_exp), *_stream_tensors(drops)],
            values=[
                *slots,
                *(batch, heads, queries, keys, width),
                *_strides(dquery, dkey, dvalue, grad, query, key, value, out),
                _score_scales(width, soft_cap)[0],
                1.0 / math.sqrt(width),
                *_score_scales(width, soft_cap)[1:],
                *_dropout_values(dropout_rate, drops),
            ],
            flops=10.0 * width * _visible_scores(query.shape, key.shape),
        )
        return dquery, dkey, dvalue

    def cached_attention(
        self, query: Tensor, key: Tensor, value: Tensor, lengths: Tensor, soft_cap: float = 0.0
    ) -> Tensor:
        self._check_cached_attention(query, key, value, lengths)
        self._require_computed("cached_attention", query, key, value)
        batch, heads, capacity, width = key.shape
        if width > LARGEST_WIDTH:
            return super().cached_attention(query, key, value, lengths, soft_cap)
        out = self.empty(query.shape)
        query, key, value = (self._rows_contiguous(x) for x in (query, key, value))
        self.launch(
            KernelSpec.of(cached_attention, soft_cap=soft_cap > 0),
            writes=[out],
            reads=[query, key, value, self.contiguous(lengths)],
            values=[
                *(batch, heads, width),
                *(*view_of(query).strides[:2], 0),
                *_strides(key, value),
                *_score_scales(width, soft_cap),
            ],
            flops=4.0 * batch * heads * capacity * width,
        )
        return out

    def rotary(self, x: Tensor, cosine: Tensor, sine: Tensor, inverse: bool = False) -> Tensor:
        self._check_rotary(x, cosine, sine)
        self._require_computed("rotary", x, cosine, sine)
        if x.ndim > 4:
            return super().rotary(x, cosine, sine, inverse)
        x, cosine, sine = (self._rows_contiguous(tensor) for tensor in (x, cosine, sine))
        batch, heads, time, width = (1, 1, *x.shape)[-4:]
        (out,) = self._head_tensors(batch, heads, time, width, 1)
        self.launch(
            KernelSpec.of(rotary),
            writes=[out],
            reads=[x, cosine, sine],
            values=[
                *(batch, heads, time, width // 2),
                *_strides(out),
                *(0, 0, *view_of(x).strides)[-4:-1],
                *(view_of(table).strides[0] for table in (cosine, sine)),
                -1.0 if inverse else 1.0,
            ],
            flops=3.0 * x.size,
        )
        return Tensor(x.shape, x.dtype, View(view_of(out).buffer, view_of(out).strides[-x.ndim :]))

    @property
    def _on_tiles(self) -> bool:
        """Whether products are of bf16 numbers, on registers that are made for them; without those f32 is as fast."""
        return self.matmul_dtype is DType.bf16 and self.jit.target.has_tiles

    def _head_tensors(self, batch: int, heads: int, time: int, width: int, count: int) -> list[Tensor]:
        """Returns new tensors (B, H, T, D) that stand next to each other in each row of one (B * T, count * H * D)."""
        buffer = view_of(self.empty((batch, time, count, heads, width))).buffer
        row = count * heads * width
        strides = (time * row, width, row, 1)
        shape = (batch, heads, time, width)
        return [Tensor(shape, DType.f32, View(buffer, strides, i * heads * width)) for i in range(count)]

    def _dropout_stream(self, rate: float, random: RandomStream | None) -> RandomStream | None:
        """Returns the stream if it is used, with tensors as the kernels read them."""
        if random is None or rate <= 0:
            return None
        return attrs.evolve(random, step=self.contiguous(random.step), rows=self.contiguous(random.rows))

    def _rows_contiguous(self, x: Tensor) -> Tensor:
        """Returns x itself if its last axis has no gaps, else a copy."""
        return x if x.shape[-1] == 1 or view_of(x).strides[-1] == 1 else self.contiguous(x)


def _strides(*tensors: Tensor) -> list[int]:
    return [stride for tensor in tensors for stride in view_of(tensor).strides[:3]]


def _visible_scores(query: Shape, key: Shape) -> float:
    batch, heads, queries, _ = query
    return batch * heads * queries * (key[2] - (queries - 1) / 2)


def _score_scales(width: int, soft_cap: float) -> list[float]:
    """Returns what a product of query and key is multiplied by, and with a cap what the tanh of that is."""
    if soft_cap > 0:
        return [1.0 / (math.sqrt(width) * soft_cap), soft_cap * _LOG2_E]
    return [_LOG2_E / math.sqrt(width)]


def _stream_tensors(random: RandomStream | None) -> list[Tensor]:
    return [] if random is None else [random.step, random.rows]


def _dropout_values(rate: float, random: RandomStream | None) -> list[int | float]:
    if random is None:
        return []
    low = 0xFFFFFFFF
    return [
        dropout_threshold(rate),
        1.0 / (1.0 - rate),
        random.stream & low,
        random.seed & low,
        random.seed >> 32 & low,
    ]
