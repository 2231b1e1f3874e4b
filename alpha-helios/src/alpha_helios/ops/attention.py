"""Attention: queries, keys and values are read where they are, and no matrix of scores is kept."""

import math
from collections.abc import Callable, Sequence

import attrs

from alpha_core.dtype import DType
from alpha_core.random import RandomStream, dropout_threshold
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.storage import View, view_of
from alpha_core.tensor import Shape, Tensor
from alpha_helios.attention import (
    FORWARD,
    OF_KEYS,
    OF_QUERIES,
    AttentionCall,
    Part,
    Way,
    common_lanes,
    score_scales,
    strides,
    team_subgroup,
    ways,
)
from alpha_helios.grid import grid
from alpha_helios.kernels.attention_cached import add_attended, cached_attention
from alpha_helios.kernels.attention_grad import attention_rows
from alpha_helios.kernels.rotary import rotary
from alpha_helios.ops.dropout import as_signed, stream_numbers
from alpha_helios.ops.reduction import ReductionKernels
from alpha_helios.ops.rows import row_lanes, stored_as
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["AttentionKernels"]

_WORKGROUP = 128
"""Invocations of a workgroup that adds up rows."""
_TEAM = 8
"""Of them, those that share a row."""
_WIDEST = 256
"""Head of a cache: for each of its keys, an invocation holds the numbers of two rows that are its own."""
_WORKGROUPS_WANTED = 512
"""On caches of keys and values, so that enough reads are under way."""
_CACHED_TOTALS = 4 * _WORKGROUP
"""Numbers that teams larger than a subgroup add up together."""
_LEAST_KEYS = 128
"""Of a part of a cache."""


class AttentionKernels(ReductionKernels):
    """Results stand as (B, T, H, D), which the next product reads."""

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
        call = self._call(query, key, value, soft_cap, dropout_rate, random)
        able = ways(self.info, self.matmul_dtype, call, FORWARD)
        if not able or query.size == 0:
            return super().attention(query, key, value, soft_cap, dropout_rate, random)
        (out,) = self._heads([query, key, value], query.shape, 1)
        log_sum_exp = self.empty(query.shape[:3], DType.f32)

        def make(way: Way) -> Launch:
            lanes = common_lanes(call.width, [*call.tensors, out])
            return Launch(
                way.spec(FORWARD, call, lanes, out=stored_as(out)),
                writes=(out, log_sum_exp),
                reads=(*call.tensors, *call.stream_tensors),
                values=(*call.sizes, *strides(*call.tensors, out), *call.score_scales, *call.stream_values),
                groups=grid(call.pairs * -(-call.queries // way.rows)),
                flops=2.0 * FORWARD.products * call.width * call.visible,
            )

        self._launch_best(f"attention {call.key}", able, make)
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
        call = self._call(query, key, value, soft_cap, dropout_rate, random)
        able = [ways(self.info, self.matmul_dtype, call, part) for part in (OF_QUERIES, OF_KEYS)]
        if not all(able) or query.size == 0:
            return super().attention_grad(grad, query, key, value, out, log_sum_exp, soft_cap, dropout_rate, random)
        operands = [grad, query, key, value]
        if query.shape == key.shape:
            results = self._heads(operands, query.shape, 3)
        else:
            results = [*self._heads(operands, query.shape, 1), *self._heads(operands, key.shape, 2)]
        grad, out = self._readable(grad, out)
        statistics = (self.contiguous(log_sum_exp), self._row_products(call, grad, out))
        for part, written, choice in zip((OF_QUERIES, OF_KEYS), (results[:1], results[1:]), able, strict=True):
            self._launch_gradient(part, call, grad, written, statistics, choice)
        return results[0], results[1], results[2]

    def _launch_gradient(
        self,
        part: Part,
        call: AttentionCall,
        grad: Tensor,
        written: Sequence[Tensor],
        statistics: tuple[Tensor, Tensor],
        able: Sequence[Way],
    ) -> None:
        """Writes the gradient of queries, or those of keys and values."""

        def make(way: Way) -> Launch:
            lanes = common_lanes(call.width, [*call.tensors, grad, *written])
            return Launch(
                way.spec(part, call, lanes, results=stored_as(written[0]), grad=stored_as(grad)),
                writes=tuple(written),
                reads=(grad, *call.tensors, *statistics, *call.stream_tensors),
                values=(
                    *call.sizes,
                    *strides(*written, grad, *call.tensors),
                    *call.score_scales,
                    1.0 / math.sqrt(call.width),
                    *call.stream_values,
                ),
                groups=grid(call.pairs * -(-(call.keys if part.of_keys else call.queries) // way.rows)),
                flops=2.0 * part.products * call.width * call.visible,
            )

        self._launch_best(f"attention_grad of {'keys' if part.of_keys else 'queries'} {call.key}", able, make)

    def cached_attention(
        self, query: Tensor, key: Tensor, value: Tensor, lengths: Tensor, soft_cap: float = 0.0
    ) -> Tensor:
        self._check_cached_attention(query, key, value, lengths)
        self._require_computed("cached_attention", query, key, value)
        batch, heads, capacity, width = key.shape
        if width > _WIDEST or query.size == 0:
            return super().cached_attention(query, key, value, lengths, soft_cap)
        query, key, value = self._readable(query, key, value)
        out = self.result(query.shape, DType.f32, [query])
        lanes = row_lanes(width, query, key, value)
        lanes = lanes if lanes == 4 else 1
        team = _cache_team(self.info, width, width // lanes)
        parts = _parts(batch * heads, capacity)
        partial = self.empty((batch, heads, parts, width + 2)) if parts > 1 else out
        self.launch(
            KernelSpec.of(
                cached_attention,
                width=width,
                lanes=lanes,
                team=team,
                parts=parts > 1,
                out=stored_as(out),
                query=stored_as(query),
                key=stored_as(key),
                value=stored_as(value),
                soft_cap=soft_cap > 0,
                workgroup=_WORKGROUP,
                subgroup=team_subgroup(self.info, team),
            ),
            writes=[partial],
            reads=[query, key, value, self.contiguous(lengths)],
            values=[
                *(batch * heads, heads, parts),
                *(*view_of(query).strides[:2], 0),
                *strides(key, value),
                *score_scales(width, soft_cap),
            ],
            groups=grid(batch * heads * parts),
            flops=4.0 * batch * heads * capacity * width,
        )
        if parts > 1:
            self.launch(
                KernelSpec.of(add_attended, out=stored_as(out), workgroup=_WORKGROUP),
                writes=[out],
                reads=[partial],
                values=[out.size, width, parts],
                groups=grid(-(-out.size // _WORKGROUP)),
                flops=2.0 * partial.size,
            )
        return out

    def rotary(self, x: Tensor, cosine: Tensor, sine: Tensor, inverse: bool = False) -> Tensor:
        self._check_rotary(x, cosine, sine)
        self._require_computed("rotary", x, cosine, sine)
        if x.ndim > 4 or x.size == 0:
            return super().rotary(x, cosine, sine, inverse)
        x, cosine, sine = self._readable(x, cosine, sine)
        batch, heads, time, width = (1, 1, *x.shape)[-4:]
        half = width // 2
        (out,) = self._heads([x], (batch, heads, time, width), 1)
        lanes = row_lanes(half, x, cosine, sine)
        self.launch(
            KernelSpec.of(
                rotary,
                out=stored_as(out),
                x=stored_as(x),
                cosine=stored_as(cosine),
                sine=stored_as(sine),
                lanes=lanes,
                workgroup=_WORKGROUP,
            ),
            writes=[out],
            reads=[x, cosine, sine],
            values=[
                *(batch * time, heads, time, half),
                *strides(out),
                *(0, 0, *view_of(x).strides)[-4:-1],
                *(view_of(table).strides[0] for table in (cosine, sine)),
                -1.0 if inverse else 1.0,
            ],
            groups=grid(-(-x.size // (2 * lanes * _WORKGROUP))),
            flops=3.0 * x.size,
        )
        return Tensor(x.shape, x.dtype, attrs.evolve(view_of(out), strides=view_of(out).strides[-x.ndim :]))

    def _row_products(self, call: AttentionCall, grad: Tensor, out: Tensor) -> Tensor:
        """Returns sum(grad * out) over the last axis."""
        rows = self.empty(grad.shape[:3], DType.f32)
        self.launch(
            KernelSpec.of(
                attention_rows,
                width=call.width,
                lanes=row_lanes(call.width, grad, out),
                team=_TEAM,
                grad=stored_as(grad),
                out=stored_as(out),
                workgroup=_WORKGROUP,
                subgroup=team_subgroup(self.info, _TEAM),
            ),
            writes=[rows],
            reads=[grad, out],
            values=[*call.sizes[:3], *strides(grad, out)],
            groups=grid(-(-rows.size * _TEAM // _WORKGROUP)),
            flops=2.0 * grad.size,
        )
        return rows

    def _launch_best(self, what: str, able: Sequence[Way], make: Callable[[Way], Launch]) -> None:
        made = make(self.tuner.choose(what, able, lambda way: [make(way)]))
        self.launch(
            made.spec, writes=made.writes, reads=made.reads, values=made.values, flops=made.flops, groups=made.groups
        )

    def _call(
        self, query: Tensor, key: Tensor, value: Tensor, soft_cap: float, rate: float, random: RandomStream | None
    ) -> AttentionCall:
        tensors, values = self._dropout_arguments(rate, random)
        return AttentionCall(self._readable(query, key, value), soft_cap, tensors, values)

    def _heads(self, operands: Sequence[Tensor], shape: Shape, count: int) -> list[Tensor]:
        """Returns new tensors (B, H, T, D) that stand next to each other in each row of one (B * T, count * H * D)."""
        batch, heads, time, width = shape
        made = view_of(self.result((batch, time, count, heads, width), DType.f32, operands))
        row = count * heads * width
        views = (
            View(made.buffer, (time * row, width, row, 1), place * heads * width, made.stored) for place in range(count)
        )
        return [Tensor(shape, DType.f32, view) for view in views]

    def _dropout_arguments(
        self, rate: float, random: RandomStream | None
    ) -> tuple[tuple[Tensor, ...], tuple[int | float, ...]]:
        """Returns tensors and numbers that say to kernels what is dropped; none if nothing is."""
        if random is None or rate <= 0:
            return (), ()
        numbers = (*stream_numbers(random), as_signed(dropout_threshold(rate)), 1.0 / (1.0 - rate))
        return (self.contiguous(random.step), self.contiguous(random.rows)), numbers

    def _readable(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Returns tensors whose last axes have no gaps: themselves or copies."""
        return tuple(x if x.shape[-1] == 1 or view_of(x).strides[-1] == 1 else self._copied(x) for x in tensors)


def _parts(pairs: int, capacity: int) -> int:
    """Returns into how many parts a cache is divided, so that a device has enough to do."""
    return max(1, min(_WORKGROUPS_WANTED // pairs, capacity // _LEAST_KEYS))


def _cache_team(info: DeviceInfo, width: int, vectors: int) -> int:
    """Returns how many invocations share a key of a cache: within a subgroup, if the teams' results have room."""
    team = min(1 << (vectors - 1).bit_length(), info.subgroup_size)
    while team < _WORKGROUP and 4 * (_WORKGROUP // team * (width + 2) + _CACHED_TOTALS) > info.limits.shared_memory:
        team *= 2
    return team
