"""Attention: queries, keys and values are read where they are, and no matrix of scores is kept."""

import math
from collections.abc import Callable, Sequence

import attrs

from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.random import RandomStream, dropout_threshold
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.storage import View, view_of
from alpha_core.shape import require_dtype, require_shape
from alpha_core.tensor import Shape, Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.attention import attention
from alpha_helios.kernels.attention_cached import add_attended, cached_attention
from alpha_helios.kernels.attention_grad import attention_grad, attention_rows
from alpha_helios.kernels.attention_tile import LOG2_E, TILES, Tile
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
_MEASURED = 2
"""Tiles that are measured when the device is tuned."""


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
        self._check_attention(query, key, value, dropout_rate, random)
        self._require_computed("attention", query, key, value)
        drops = self._dropout_stream("attention", dropout_rate, random, query.shape[0])
        tiles = _tiles(self.info, query.shape[-1], query.shape[2], stages=1, weights=1)
        if not tiles or query.size == 0:
            return super().attention(query, key, value, soft_cap, dropout_rate, random)
        call = _Call(self._readable(query, key, value), soft_cap, dropout_rate, drops)
        (out,) = self._heads([query, key, value], query.shape, 1)
        log_sum_exp = self.empty(query.shape[:3], DType.f32)

        def make(tile: str) -> Launch:
            return Launch(
                self._spec(attention, tile, call, [out], out=stored_as(out)),
                writes=(out, log_sum_exp),
                reads=(*call.tensors, *call.stream_tensors),
                values=(*call.sizes, *_strides(*call.tensors, out), *call.score_scales, *call.stream_values),
                groups=call.grid(tile, call.queries),
                flops=4.0 * call.width * call.visible,
            )

        self._launch_tiled(f"attention {call.key}", tiles, make)
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
        self._check_attention(query, key, value, dropout_rate, random)
        require_shape("attention_grad", "grad", grad, query.shape)
        require_shape("attention_grad", "out", out, query.shape)
        require_shape("attention_grad", "log_sum_exp", log_sum_exp, query.shape[:3])
        self._require_computed("attention_grad", grad, query, key, value, out, log_sum_exp)
        drops = self._dropout_stream("attention_grad", dropout_rate, random, query.shape[0])
        width = query.shape[-1]
        of_queries = _tiles(self.info, width, query.shape[2], stages=2, weights=1)
        of_keys = _tiles(self.info, width, key.shape[2], stages=2, weights=2)
        if not of_queries or not of_keys or query.size == 0:
            return super().attention_grad(grad, query, key, value, out, log_sum_exp, soft_cap, dropout_rate, random)
        call = _Call(self._readable(query, key, value), soft_cap, dropout_rate, drops)
        results = self._gradients([grad, query, key, value], query.shape, key.shape)
        grad, out = self._readable(grad, out)
        statistics = (self.contiguous(log_sum_exp), self._row_products(call, grad, out))

        def launch(written: Sequence[Tensor], tiles: Sequence[str], count: int, products: int) -> None:
            def make(tile: str) -> Launch:
                spec = self._spec(
                    attention_grad,
                    tile,
                    call,
                    [grad, *written],
                    of_keys=len(written) > 1,
                    results=stored_as(written[0]),
                    grad=stored_as(grad),
                )
                return Launch(
                    spec,
                    writes=tuple(written),
                    reads=(grad, *call.tensors, *statistics, *call.stream_tensors),
                    values=(
                        *call.sizes,
                        *_strides(*written, grad, *call.tensors),
                        *call.score_scales,
                        1.0 / math.sqrt(width),
                        *call.stream_values,
                    ),
                    groups=call.grid(tile, count),
                    flops=2.0 * products * width * call.visible,
                )

            self._launch_tiled(f"attention_grad {call.key} {len(written)}", tiles, make)

        launch(results[:1], of_queries, call.queries, 3)
        launch(results[1:], of_keys, call.keys, 4)
        return results[0], results[1], results[2]

    def cached_attention(
        self, query: Tensor, key: Tensor, value: Tensor, lengths: Tensor, soft_cap: float = 0.0
    ) -> Tensor:
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
        self._require_computed("cached_attention", query, key, value)
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
                subgroup=_subgroup(self.info, team),
            ),
            writes=[partial],
            reads=[query, key, value, self.contiguous(lengths)],
            values=[
                *(batch * heads, heads, parts),
                *(*view_of(query).strides[:2], 0),
                *_strides(key, value),
                *_score_scales(width, soft_cap),
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
        *_, time, width = x.shape
        half = width // 2
        if width % 2:
            raise OpError(f"`rotary`: the last axis has odd length {width}")
        for name, table in (("cosine", cosine), ("sine", sine)):
            require_shape("rotary", name, table, (time, half))
        self._require_computed("rotary", x, cosine, sine)
        if x.ndim > 4 or x.size == 0:
            return super().rotary(x, cosine, sine, inverse)
        x, cosine, sine = self._readable(x, cosine, sine)
        batch, heads = (1, 1, *x.shape)[-4:-2]
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
                *_strides(out),
                *(0, 0, *view_of(x).strides)[-4:-1],
                *(view_of(table).strides[0] for table in (cosine, sine)),
                -1.0 if inverse else 1.0,
            ],
            groups=grid(-(-x.size // (2 * lanes * _WORKGROUP))),
            flops=3.0 * x.size,
        )
        return Tensor(x.shape, x.dtype, attrs.evolve(view_of(out), strides=view_of(out).strides[-x.ndim :]))

    def _row_products(self, call: "_Call", grad: Tensor, out: Tensor) -> Tensor:
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
                subgroup=_subgroup(self.info, _TEAM),
            ),
            writes=[rows],
            reads=[grad, out],
            values=[*call.sizes[:3], *_strides(grad, out)],
            groups=grid(-(-rows.size * _TEAM // _WORKGROUP)),
            flops=2.0 * grad.size,
        )
        return rows

    def _spec(
        self, build: Callable[..., None], tile: str, call: "_Call", others: Sequence[Tensor], **parameters: object
    ) -> KernelSpec:
        """Returns the kernel for a call with a tile; `others` are more tensors whose rows it reads or writes."""
        lanes = row_lanes(call.width, *call.tensors, *others)
        return KernelSpec.of(
            build,
            tile=tile,
            workgroup=TILES[tile].invocations,
            subgroup=_subgroup(self.info, TILES[tile].across),
            width=call.width,
            lanes=lanes if lanes == 4 else 1,
            query=stored_as(call.tensors[0]),
            key=stored_as(call.tensors[1]),
            value=stored_as(call.tensors[2]),
            soft_cap=call.soft_cap > 0,
            dropout=call.stream is not None,
            whole=call.keys % 4 == 0,
            **parameters,
        )

    def _launch_tiled(self, what: str, tiles: Sequence[str], make: Callable[[str], Launch]) -> None:
        made = make(self.tuner.choose(what, tiles, lambda tile: [make(tile)]))
        self.launch(
            made.spec, writes=made.writes, reads=made.reads, values=made.values, flops=made.flops, groups=made.groups
        )

    def _gradients(self, operands: Sequence[Tensor], query: Shape, key: Shape) -> list[Tensor]:
        if query == key:
            return self._heads(operands, query, 3)
        return [*self._heads(operands, query, 1), *self._heads(operands, key, 2)]

    def _heads(self, operands: Sequence[Tensor], shape: Shape, count: int) -> list[Tensor]:
        """Returns new tensors (B, H, T, D) that stand next to each other in each row of one (B * T, count * H * D)."""
        batch, heads, time, width = shape
        made = view_of(self.result((batch, time, count, heads, width), DType.f32, operands))
        row = count * heads * width
        views = (
            View(made.buffer, (time * row, width, row, 1), place * heads * width, made.stored) for place in range(count)
        )
        return [Tensor(shape, DType.f32, view) for view in views]

    def _dropout_stream(self, op: str, rate: float, random: RandomStream | None, batch: int) -> RandomStream | None:
        """Returns the stream if it is used, with tensors as the kernels read them."""
        if random is None or rate <= 0:
            return None
        if rate >= 1:
            raise OpError(f"`{op}`: dropout rate {rate} is outside [0, 1)")
        require_dtype(op, "step", random.step, DType.i32)
        require_dtype(op, "rows", random.rows, DType.i32)
        require_shape(op, "rows", random.rows, (batch,))
        return attrs.evolve(random, step=self.contiguous(random.step), rows=self.contiguous(random.rows))

    def _readable(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Returns tensors whose last axes have no gaps: themselves or copies."""
        return tuple(x if x.shape[-1] == 1 or view_of(x).strides[-1] == 1 else self._copied(x) for x in tensors)


@attrs.frozen(eq=False)
class _Call:
    """Queries, keys and values whose rows have no gaps, and what is done with them."""

    tensors: tuple[Tensor, ...]
    soft_cap: float
    rate: float
    stream: RandomStream | None

    @property
    def queries(self) -> int:
        return self.tensors[0].shape[2]

    @property
    def keys(self) -> int:
        return self.tensors[1].shape[2]

    @property
    def width(self) -> int:
        return self.tensors[0].shape[3]

    @property
    def pairs(self) -> int:
        """Heads of all sequences."""
        return self.tensors[0].shape[0] * self.tensors[0].shape[1]

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """What kernels are told."""
        return self.pairs, self.tensors[0].shape[1], self.queries, self.keys

    @property
    def visible(self) -> float:
        """Scores of keys that a query sees."""
        return self.pairs * self.queries * (self.keys - (self.queries - 1) / 2)

    @property
    def key(self) -> str:
        """Tells calls apart for which different tiles may be best."""
        stored = " ".join(map(stored_as, self.tensors))
        options = f"{' capped' * (self.soft_cap > 0)}{' dropout' * (self.stream is not None)}"
        return f"{'x'.join(map(str, self.sizes))}x{self.width} {stored}{options}"

    @property
    def score_scales(self) -> list[float]:
        """What `Scores` takes."""
        return _score_scales(self.width, self.soft_cap)

    @property
    def stream_tensors(self) -> list[Tensor]:
        return [] if self.stream is None else [self.stream.step, self.stream.rows]

    @property
    def stream_values(self) -> list[int | float]:
        if self.stream is None:
            return []
        return [*stream_numbers(self.stream), as_signed(dropout_threshold(self.rate)), 1.0 / (1.0 - self.rate)]

    def grid(self, tile: str, count: int) -> tuple[int, int, int]:
        """Returns a workgroup for each block of so many rows."""
        return grid(self.pairs * -(-count // TILES[tile].rows))


def _tiles(info: DeviceInfo, width: int, rows: int, *, stages: int, weights: int) -> list[str]:
    """Returns the tiles that the device has room for, the one to take by rule first: the largest, if it has rows."""
    able = [name for name, tile in TILES.items() if _fits(info, tile, width, stages, weights)]
    wanted = [name for name in able if TILES[name].rows < 2 * rows]
    return (wanted or able[-1:])[:_MEASURED]


def _fits(info: DeviceInfo, tile: Tile, width: int, stages: int, weights: int) -> bool:
    nbytes = tile.shared_bytes(width, stages, weights)
    if _subgroup(info, tile.across) is None:
        nbytes += 4 * tile.high * tile.invocations  # what teams share
    return nbytes <= info.limits.shared_memory and tile.invocations <= info.limits.max_workgroup_invocations


def _subgroup(info: DeviceInfo, team: int) -> int | None:
    """Returns the size of subgroups to ask for, if a team fits in one."""
    return info.subgroup_size if "subgroupSizeControl" in info.features and team <= info.subgroup_size else None


def _strides(*tensors: Tensor) -> list[int]:
    return [stride for tensor in tensors for stride in view_of(tensor).strides[:3]]


def _score_scales(width: int, soft_cap: float) -> list[float]:
    """Returns what a product of query and key is multiplied by, and with a cap what the tanh of that is."""
    if soft_cap > 0:
        return [1.0 / (math.sqrt(width) * soft_cap), soft_cap * LOG2_E]
    return [LOG2_E / math.sqrt(width)]


def _parts(pairs: int, capacity: int) -> int:
    """Returns into how many parts a cache is divided, so that a device has enough to do."""
    return max(1, min(_WORKGROUPS_WANTED // pairs, capacity // _LEAST_KEYS))


def _cache_team(info: DeviceInfo, width: int, vectors: int) -> int:
    """Returns how many invocations share a key of a cache: within a subgroup, if the teams' results have room."""
    team = min(1 << (vectors - 1).bit_length(), info.subgroup_size)
    while team < _WORKGROUP and 4 * (_WORKGROUP // team * (width + 2) + _CACHED_TOTALS) > info.limits.shared_memory:
        team *= 2
    return team
