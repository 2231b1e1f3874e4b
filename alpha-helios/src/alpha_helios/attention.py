"""Calls of attention, the kernels that can answer them, and the rule that picks one."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.coop import BY_ELEMENT, fragments
from alpha_helios.kernels.attention import attention
from alpha_helios.kernels.attention_coop import attention_coop
from alpha_helios.kernels.attention_coop2 import attention_coop2
from alpha_helios.kernels.attention_grad import attention_grad
from alpha_helios.kernels.attention_grad_coop import attention_grad_coop
from alpha_helios.kernels.attention_panel import GROUP, PanelTile
from alpha_helios.kernels.attention_tile import LOG2_E, TILES
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = [
    "FORWARD",
    "IN_PLACE_FEATURES",
    "OF_KEYS",
    "OF_QUERIES",
    "AttentionCall",
    "Blocks",
    "MatrixBlocks",
    "Part",
    "Way",
    "common_lanes",
    "score_scales",
    "strides",
    "team_subgroup",
    "ways",
]

IN_PLACE_FEATURES = frozenset({BY_ELEMENT, "cooperativeMatrixReductions", "cooperativeMatrixConversions"})
"""What kernels need whose scores stay in matrices, beside what those need whose scores do not."""
_MEASURED = 3
"""Ways of a kind that are measured when the device is tuned."""
_WORKGROUPS_WANTED = 256
"""Enough for all processors of a large device."""
_LONG = 4
"""Blocks of rows in a sequence: of n the last one sees n times the columns of the first, and half a block in vain."""
_COLUMNS = 32
"""Keys, or for their gradients queries, that all subgroups of a workgroup meet at a time. As the code has a passage for
each, it is fewer on a device that computes on the processor."""
_MOST_COMPILED = 32
"""Products of matrices in the code for a device that computes on the processor: each takes it half a second."""
_FEW_COMPILED = 16
"""So many are enough there, where fewer columns can be met at a time."""
_FEW_NUMBERS = 64
"""Of a head: for so many there are registers enough to hold rows that come next, and own ones beside sums."""
_MOST_DOUBLED = 32
"""Invocations of a subgroup that may have two matrices of rows; in larger ones some devices hold factors twice."""
_WIDEST = 128
"""Head on cooperative matrices: what a subgroup keeps of its rows is held in registers."""


@attrs.frozen
class Part:
    """One of the kernels: what is attended, or the gradients of queries, or those of keys and values."""

    build: Callable[..., None]
    build_coop: Callable[..., None]
    products: int
    """Matrix products that it takes."""
    stages: int
    """Matrices whose rows it meets."""
    weights: int
    """Blocks of weights that it multiplies with."""
    of_keys: bool | None = None
    """Whether a workgroup's own rows are keys; None where there is no choice."""
    build_coop2: Callable[..., None] | None = None
    """With scores that stay in matrices."""

    @property
    def parameters(self) -> dict[str, Any]:
        return {} if self.of_keys is None else {"of_keys": self.of_keys}

    def held(self, width: int) -> bool:
        """Whether there are registers enough to hold a subgroup's own rows of heads."""
        return self.of_keys is None or width <= _FEW_NUMBERS

    def parameters_on_matrices(self, width: int) -> dict[str, Any]:
        held = {} if self.of_keys is None else {"held": self.held(width)}
        return {"ahead": width <= _FEW_NUMBERS, **held, **self.parameters}


FORWARD = Part(attention, attention_coop, 2, 1, 1, build_coop2=attention_coop2)
OF_QUERIES = Part(attention_grad, attention_grad_coop, 3, 2, 1, of_keys=False)
OF_KEYS = Part(attention_grad, attention_grad_coop, 4, 2, 2, of_keys=True)


@attrs.frozen(eq=False)
class AttentionCall:
    """Queries, keys and values whose rows have no gaps, and what is done with them."""

    tensors: tuple[Tensor, ...]
    soft_cap: float
    stream_tensors: tuple[Tensor, ...]
    """Of dropout: the step and the numbers of the sequences; none without dropout."""
    stream_values: tuple[int | float, ...]
    """What `kernels.attention_tile.Dropout` takes."""

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
        """Tells calls apart for which different kernels may be best."""
        stored = " ".join(stored_dtype(tensor).value for tensor in self.tensors)
        options = f"{' capped' * (self.soft_cap > 0)}{' dropout' * bool(self.stream_tensors)}"
        return f"{'x'.join(map(str, self.sizes))}x{self.width} {stored}{options}"

    @property
    def parameters(self) -> dict[str, Any]:
        """Of every kernel."""
        query, key, value = (stored_dtype(tensor).value for tensor in self.tensors)
        return {
            "width": self.width,
            "query": query,
            "key": key,
            "value": value,
            "soft_cap": self.soft_cap > 0,
            "dropout": bool(self.stream_tensors),
            "whole": self.keys % 4 == 0,
        }

    @property
    def score_scales(self) -> list[float]:
        """What `kernels.attention_tile.Scores` takes."""
        return score_scales(self.width, self.soft_cap)


@attrs.frozen
class Blocks:
    """Kernels that multiply numbers of f32. The text names them in tuning results."""

    tile: str
    subgroup: int | None

    def __str__(self) -> str:
        return self.tile

    @property
    def rows(self) -> int:
        """Of a workgroup."""
        return TILES[self.tile].rows

    def spec(self, part: Part, call: AttentionCall, lanes: int, **stored: str) -> KernelSpec:
        """Returns the kernel; `lanes` neighbours may be read at once everywhere. `stored` are dtypes by name."""
        return KernelSpec.of(
            part.build,
            tile=self.tile,
            workgroup=TILES[self.tile].invocations,
            subgroup=self.subgroup,
            lanes=4 if lanes % 4 == 0 else 1,
            **call.parameters,
            **part.parameters,
            **stored,
        )


@attrs.frozen
class MatrixBlocks:
    """Kernels on cooperative matrices. The text names them in tuning results."""

    tile: PanelTile
    dtype: str
    unrolled: bool
    in_place: bool = False
    """Whether scores stay in matrices."""
    nearest: bool = False
    """Whether the device can be told how to round these to f16."""

    def __str__(self) -> str:
        return f"{'coop2' if self.in_place else 'coop'} {self.tile}"

    @property
    def rows(self) -> int:
        """Of a workgroup."""
        return self.tile.rows

    def compiled(self, width: int, part: Part) -> int:
        """Products of matrices in the code of the kernel: of a loop's turn, or where there is no loop of all."""
        turns = self.tile.columns // self.tile.fragment.n if self.in_place else 1
        return turns * self.tile.compiled(width, part.products)

    def spec(self, part: Part, call: AttentionCall, lanes: int, **stored: str) -> KernelSpec:
        """Returns the kernel; `lanes` neighbours may be read at once everywhere. `stored` are dtypes by name."""
        how: dict[str, Any]
        build, how = part.build_coop, {"unrolled": self.unrolled}
        if self.in_place:
            assert part.build_coop2 is not None
            build, how = part.build_coop2, {"nearest": self.nearest}
        return KernelSpec.of(
            build,
            tile=self.tile,
            dtype=self.dtype,
            **how,
            workgroup=self.tile.invocations,
            subgroup=self.tile.subgroup,
            lanes=GROUP if lanes % GROUP == 0 else 1,
            **call.parameters,
            **part.parameters_on_matrices(call.width),
            **stored,
        )


Way = Blocks | MatrixBlocks


def ways(info: DeviceInfo, dtype: DType, call: AttentionCall, part: Part) -> list[Way]:
    """Returns the kernels for a call that may be the fastest on a device, the one that the rule picks first.

    In f16 or bf16 these are kernels on cooperative matrices, where there are some: those whose scores stay in matrices
    first. There may be none at all.
    """
    rows = call.keys if part.of_keys else call.queries
    if dtype is not DType.f32 and call.width <= _WIDEST:
        kinds = (True, False) if part.build_coop2 is not None and info.features >= IN_PLACE_FEATURES else (False,)
        matrices = [_on_matrices(info, dtype.value, call, rows, part, in_place) for in_place in kinds]
        if any(matrices):
            return [way for found in matrices for way in found[:_MEASURED]]
    able = _in_f32(info, call.width, part)
    wanted = [blocks for blocks in able if blocks.rows < 2 * rows]
    return [*(wanted or able[-1:])[:_MEASURED]]


def _in_f32(info: DeviceInfo, width: int, part: Part) -> Sequence[Blocks]:
    found = []
    for name, tile in TILES.items():
        subgroup = team_subgroup(info, tile.across)
        nbytes = tile.shared_bytes(width, part.stages, part.weights)
        if subgroup is None and part is FORWARD:
            nbytes += 4 * tile.high * tile.invocations  # what teams share
        if nbytes <= info.limits.shared_memory and tile.invocations <= info.limits.max_workgroup_invocations:
            found.append(Blocks(name, subgroup))
    return found


def _on_matrices(
    info: DeviceInfo, dtype: str, call: AttentionCall, rows: int, part: Part, in_place: bool
) -> Sequence[MatrixBlocks]:
    """The largest block of rows first that does not have twice as many as needed; for short sequences, of one matrix
    for each subgroup."""
    sizes, width = [(4, 1), (2, 1), (1, 1)], call.width
    if part is FORWARD and width <= _FEW_NUMBERS and info.subgroup_size <= _MOST_DOUBLED:
        sizes.insert(0, (4, 2))
    # lavapipe leaves out conversions there and back, so that nothing would be rounded at all.
    nearest = dtype == "f16" and "shaderRoundingModeRTEFloat16" in info.features and not info.software
    found: list[MatrixBlocks] = []
    for fragment in fragments(info, dtype):
        columns = 2 * fragment.n if info.software else max(_COLUMNS, 2 * fragment.n)
        for subgroups, high in sizes:
            tile = PanelTile(fragment, info.subgroup_size, subgroups, high, columns)
            way = MatrixBlocks(tile, dtype, not info.software, in_place, nearest=in_place and nearest)
            if in_place and info.software:
                way = _quickly_compiled(way, width)
            if _fits(info, way, width, part, dropout=bool(call.stream_tensors)):
                found.append(way)
        if found:
            break
    wanted = [one for one in found if one.rows < 2 * rows] or found[-1:]
    return sorted(wanted, key=lambda one: one.tile.high > 1 and not _is_long(call.pairs, rows, one))


def _quickly_compiled(way: MatrixBlocks, width: int) -> MatrixBlocks:
    """Returns a kernel with as many columns as a device takes that computes on the processor."""
    tile = way.tile
    while tile.columns > tile.fragment.n and way.compiled(width, FORWARD) > _FEW_COMPILED:
        tile = attrs.evolve(tile, columns=tile.columns // 2)
        way = attrs.evolve(way, tile=tile)
    return way


def _is_long(pairs: int, rows: int, blocks: MatrixBlocks) -> bool:
    """Whether subgroups may well have two matrices of rows each: few of the scores that are computed are invisible, and
    there are workgroups enough."""
    return rows >= _LONG * blocks.rows and pairs * -(-rows // blocks.rows) >= _WORKGROUPS_WANTED


def _fits(info: DeviceInfo, way: MatrixBlocks, width: int, part: Part, *, dropout: bool) -> bool:
    """Whether a device has room for a kernel."""
    limits, tile = info.limits, way.tile
    if way.in_place:
        fits, nbytes = tile.fits_in_place, 16 * tile.words(width, 0, 0) + 4 * tile.rows * tile.kept_words * dropout
    else:
        fits = tile.fits
        nbytes = 16 * tile.words(width, part.stages, 0 if part.held(width) else 2) + 8 * tile.columns
    if info.software and way.compiled(width, part) > _MOST_COMPILED:
        return False
    return (
        fits
        and nbytes <= limits.shared_memory
        and tile.invocations <= limits.max_workgroup_invocations
        and tile.subgroups <= limits.max_workgroup_subgroups
    )


def score_scales(width: int, soft_cap: float) -> list[float]:
    """Returns what a product of query and key is multiplied by, and with a cap what the tanh of that is."""
    if soft_cap > 0:
        return [1.0 / (math.sqrt(width) * soft_cap), soft_cap * LOG2_E]
    return [LOG2_E / math.sqrt(width)]


def team_subgroup(info: DeviceInfo, team: int) -> int | None:
    """Returns the size of subgroups to ask for, if a team fits in one."""
    return info.subgroup_size if "subgroupSizeControl" in info.features and team <= info.subgroup_size else None


def common_lanes(width: int, tensors: Sequence[Tensor]) -> int:
    """Returns how many neighbours may be read at once in the rows of all tensors: 8, 4, 2 or 1."""
    places: list[int] = []
    for tensor in tensors:
        view = view_of(tensor)
        places.append(view.offset)
        places += (step for step, length in zip(view.strides[:-1], tensor.shape, strict=False) if length > 1)
    return math.gcd(8, width, *places)


def strides(*tensors: Tensor) -> list[int]:
    """Returns the strides of heads as kernels take them."""
    return [stride for tensor in tensors for stride in view_of(tensor).strides[:3]]
