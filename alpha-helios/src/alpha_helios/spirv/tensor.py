"""Matrices of tensors: loads and stores that know a tensor's shape, reductions, and functions of one element.

Sources: SPV_NV_tensor_addressing and SPV_NV_cooperative_matrix2.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import attrs

from alpha_helios.spirv.builder import Code
from alpha_helios.spirv.cooperative import Cooperative, Matrix, MatrixType, Use
from alpha_helios.spirv.memory import ALIGNED
from alpha_helios.spirv.module import Instruction, instruction
from alpha_helios.spirv.place import Indexed, Place, Pointer
from alpha_helios.spirv.types import Type, i1, i32
from alpha_helios.spirv.value import Handle, Number, Value

if TYPE_CHECKING:
    from alpha_helios.spirv.builder import Scope
    from alpha_helios.spirv.kernel import Kernel

__all__ = ["TensorLayout", "TensorView", "Tensors"]

Clamp = Literal["undefined", "constant", "edge", "repeat", "mirror"]
Direction = Literal["row", "column", "both", "2x2"]

_CLAMPS = {"undefined": 0, "constant": 1, "edge": 2, "repeat": 3, "mirror": 4}
_DIRECTIONS = {"row": 1, "column": 2, "both": 3, "2x2": 4}
_WITH_VIEW = 1


class _Description(Handle):
    """Part of a tensor or of how it is seen; every change gives a new one."""

    __slots__ = ("axes", "type_id")

    def __init__(self, kernel: "Kernel", axes: int, type_id: int, id_: int, scope: "Scope | None") -> None:
        super().__init__(kernel, id_, scope)
        self.axes, self.type_id = axes, type_id

    def _numbers(self, name: str, numbers: Sequence[Number]) -> list[Value]:
        if len(numbers) != self.axes:
            raise TypeError(f"`{name}` with {len(numbers)} numbers for {self.axes} axes")
        return [self.kernel.lift(number, i32) for number in numbers]


class TensorLayout(_Description):
    """How a tensor lies in memory, and which part of it is meant."""

    __slots__ = ()

    def dimensions(self, *sizes: Number) -> "TensorLayout":
        """Sets the lengths of all axes, and strides of a tensor without gaps."""
        return self._changed("SetDimension", self._numbers("dimensions", sizes))

    def strides(self, *strides: Number) -> "TensorLayout":
        """Sets how many elements lie between neighbours along each axis."""
        return self._changed("SetStride", self._numbers("strides", strides))

    def slice(self, *parts: tuple[Number, Number]) -> "TensorLayout":
        """Chooses a part: offset and length along each axis. It may reach beyond the tensor; see the clamp mode."""
        self._numbers("slice", [offset for offset, _ in parts])
        return self._changed("Slice", [self.kernel.lift(number, i32) for part in parts for number in part])

    def clamp_value(self, bits: Number) -> "TensorLayout":
        """Sets the bits of the element that is read beyond the tensor, for the clamp mode `constant`."""
        return self._changed("SetClampValue", [self.kernel.lift(bits, i32)])

    def _changed(self, name: str, operands: list[Value]) -> "TensorLayout":
        result = self.kernel.emit_raw(self.type_id, f"TensorLayout{name}NV", self, *operands)
        return TensorLayout(self.kernel, self.axes, self.type_id, result, self.kernel.here)


class TensorView(_Description):
    """How the part that a layout chose is seen as a matrix."""

    __slots__ = ()

    def dimensions(self, *sizes: Number) -> "TensorView":
        """Gives the part another shape; the view must have been made with `reshaped=True`."""
        return self._changed("SetDimension", self._numbers("dimensions", sizes))

    def strides(self, *strides: Number) -> "TensorView":
        """Sets how many elements of the part lie between neighbours along each axis."""
        return self._changed("SetStride", self._numbers("strides", strides))

    def clip(self, row: Number, rows: Number, column: Number, columns: Number) -> "TensorView":
        """Leaves alone what lies outside of these rows and columns of the matrix."""
        return self._changed("SetClip", [self.kernel.lift(number, i32) for number in (row, rows, column, columns)])

    def _changed(self, name: str, operands: list[Value]) -> "TensorView":
        result = self.kernel.emit_raw(self.type_id, f"TensorView{name}NV", self, *operands)
        return TensorView(self.kernel, self.axes, self.type_id, result, self.kernel.here)


class Tensors(Cooperative):
    """What NV_cooperative_matrix2 adds."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: list[Instruction] = []

    @property
    def here(self) -> "Scope":
        """The block under construction."""
        return self._code.scopes[-1]

    def tensor_layout(self, axes: int, clamp: Clamp = "undefined") -> TensorLayout:
        """A layout of 1 to 5 axes, the last one contiguous; `clamp` says what lies beyond the tensor's edges."""
        self._need_axes("tensor_layout", axes)
        if clamp not in _CLAMPS:
            raise ValueError(f"`tensor_layout` with clamp {clamp!r}; there are {', '.join(_CLAMPS)}")
        numbers = (self.module.constant(i32, axes), self.module.constant(i32, _CLAMPS[clamp]))
        type_ = self.module.unique("TypeTensorLayoutNV", *numbers)
        return TensorLayout(self._self, axes, type_, self.emit_raw(type_, "CreateTensorLayoutNV"), self.here)

    def tensor_view(self, axes: int, order: Sequence[int] | None = None, *, reshaped: bool = False) -> TensorView:
        """A view that takes the axes of a slice in another order: (1, 0) reads a matrix transposed."""
        self._need_axes("tensor_view", axes)
        permutation = tuple(order) if order is not None else tuple(range(axes))
        if sorted(permutation) != list(range(axes)):
            raise ValueError(f"`tensor_view` with order {permutation}, which does not permute {axes} axes")
        numbers = (self.module.constant(i32, number) for number in (axes, *permutation))
        dimensions, *places = numbers
        type_ = self.module.unique("TypeTensorViewNV", dimensions, self.module.constant(i1, reshaped), *places)
        return TensorView(self._self, axes, type_, self.emit_raw(type_, "CreateTensorViewNV"), self.here)

    def coop_load_tensor(
        self,
        type_: MatrixType,
        place: Place,
        layout: TensorLayout,
        view: TensorView | None = None,
        *,
        into: Matrix | None = None,
        alignment: int | None = None,
    ) -> Matrix:
        """Loads the part of a tensor that `layout` chose, through `view`; `into` gives what a view clips away."""
        if into is not None and into.type != type_:
            raise TypeError(f"`coop_load_tensor` of {type_} into {into.type}")
        before = into if into is not None else self.coop_fill(type_, 0)
        target, access, addressing = self._tensor_operands("coop_load_tensor", type_, place, layout, view, alignment)
        matrix = self.coop_emit(type_, "CooperativeMatrixLoadTensorNV", target, before, layout, *access, *addressing)
        self.module.shared_access(self._code.body[-1], 6)
        return matrix

    def coop_store_tensor(
        self,
        place: Place,
        matrix: Matrix,
        layout: TensorLayout,
        view: TensorView | None = None,
        *,
        alignment: int | None = None,
    ) -> None:
        """Stores the part of a tensor that `layout` chose, without what lies beyond the tensor or outside of a clip."""
        if isinstance(place, Pointer) and place.readonly:
            raise TypeError("`coop_store_tensor` through a pointer that was asked for with `readonly=True`")
        target, access, addressing = self._tensor_operands(
            "coop_store_tensor", matrix.type, place, layout, view, alignment
        )
        line = self.emit_void("CooperativeMatrixStoreTensorNV", target, matrix, layout, *access, *addressing)
        self.module.shared_access(line, 4)

    def coop_reduce(
        self,
        matrix: Matrix,
        direction: Direction,
        combine: Callable[[Value, Value], Value],
        *,
        rows: int | None = None,
        columns: int | None = None,
    ) -> Matrix:
        """Combines the components of each row, each column, all, or each 2 x 2 square of an accumulator.

        The results of rows stand in every column, of which there may be another number (`columns`), and so for columns.
        """
        if direction not in _DIRECTIONS:
            raise ValueError(f"`coop_reduce` along {direction!r}; there are {', '.join(_DIRECTIONS)}")
        source = matrix.type
        if source.use != "accumulator":
            raise TypeError(f"`coop_reduce` of {source}; it takes an accumulator")
        if direction == "2x2":
            if rows is not None or columns is not None or source.rows % 2 or source.columns % 2:
                raise ValueError(f"`coop_reduce` of {source} by squares, which halves rows and columns")
            type_ = attrs.evolve(source, rows=source.rows // 2, columns=source.columns // 2)
        else:
            if (rows is not None and direction == "row") or (columns is not None and direction == "column"):
                raise ValueError(f"`coop_reduce` along {direction!r} keeps the number of the other ones")
            type_ = attrs.evolve(source, rows=rows or source.rows, columns=columns or source.columns)
        self.module.capability("CooperativeMatrixReductionsNV")
        function = self._function("`coop_reduce`", source.component, [source.component] * 2, combine)
        return self.coop_emit(type_, "CooperativeMatrixReduceNV", matrix, _DIRECTIONS[direction], function)

    def coop_per_element(self, matrix: Matrix, compute: Callable[..., Value], *operands: Value | Matrix) -> Matrix:
        """Replaces every component by `compute(row, column, component, *operands)`; row and column are i32.

        Of an operand that is a matrix of the same type, `compute` gets the component in the same place. It is built
        once, as a function of its own: it knows no values but constants, shared memory and what it is given.
        """
        component = matrix.type.component
        self.module.capability("CooperativeMatrixPerElementOperationsNV")
        types = [i32, i32, component]
        for operand in operands:
            if isinstance(operand, Matrix) and operand.type != matrix.type:
                raise TypeError(f"`coop_per_element` of {matrix} with {operand}; both must be of one type")
            types.append(component if isinstance(operand, Matrix) else operand.type)
        function = self._function("`coop_per_element`", component, types, compute)
        return self.coop_emit(matrix.type, "CooperativeMatrixPerElementOpNV", matrix, function, *operands)

    def coop_convert_use(self, matrix: Matrix, use: Use, component: Type | None = None) -> Matrix:
        """An accumulator as a factor of the next product, with components of another float type if one is given.

        One instruction changes both: a device that has factors of bf16 need not have accumulators of bf16.
        """
        self._need_accumulator("coop_convert_use", matrix)
        if use not in ("a", "b"):
            raise ValueError(f"`coop_convert_use` to {use!r}; factors are 'a' and 'b'")
        self.module.capability("CooperativeMatrixConversionsNV")
        source = matrix.type.component
        target = source if component is None else component
        if target != source and not (target.is_float and source.is_float):
            raise TypeError(f"`coop_convert_use` of {matrix} to {target}; floats become floats")
        name = "CooperativeMatrixConvertNV" if target == source else "FConvert"
        return self.coop_emit(attrs.evolve(matrix.type, use=use, component=target), name, matrix)

    def coop_transpose(self, matrix: Matrix) -> Matrix:
        """An accumulator, transposed, as the factor b of the next product."""
        turned = attrs.evolve(matrix.type, rows=matrix.type.columns, columns=matrix.type.rows, use="b")
        self._need_accumulator("coop_transpose", matrix)
        self.module.capability("CooperativeMatrixConversionsNV")
        return self.coop_emit(turned, "CooperativeMatrixTransposeNV", matrix)

    def _need_accumulator(self, name: str, matrix: Matrix) -> None:
        if matrix.type.use != "accumulator":
            raise TypeError(f"`{name}` of {matrix.type}; it takes an accumulator")

    def _need_axes(self, name: str, axes: int) -> None:
        if not 1 <= axes <= 5:
            raise ValueError(f"`{name}` with {axes} axes; there are 1 to 5")
        self.module.capability("TensorAddressingNV")
        self.module.capability("CooperativeMatrixTensorAddressingNV")

    def _tensor_operands(
        self,
        name: str,
        type_: MatrixType,
        place: Place,
        layout: TensorLayout,
        view: TensorView | None,
        alignment: int | None,
    ) -> tuple[int, tuple[int, ...], tuple[Handle | int, ...]]:
        """The pointer, how memory is accessed, and how the tensor is."""
        self.module.capability("CooperativeMatrixTensorAddressingNV")
        self.coop_type_id(type_)
        target, element = self.array_in(name, place, type_.component)
        if element != type_.component:
            raise TypeError(f"`{name}` of {type_} with elements of {element}; they must be its components")
        access = (0,) if isinstance(place, Indexed) else (ALIGNED, alignment or element.nbytes)
        return target, access, (_WITH_VIEW, view) if view is not None else (0,)

    def _function(self, name: str, result: Type, parameters: Sequence[Type], build: Callable[..., Value]) -> int:
        """Builds a function beside the kernel and returns its id."""
        outer, code = self._code, Code(f"the function of {name}")
        ids = [self.module.new_id() for _ in range(len(parameters) + 1)]
        types = [self.module.type(type_) for type_ in parameters]
        result_id = self.module.type(result)
        signature = self.module.unique("TypeFunction", result_id, *types)
        self._code = code
        try:
            values = [
                Value(self._self, type_, id_, code.scopes[0]) for type_, id_ in zip(parameters, ids[1:], strict=True)
            ]
            self._end("the result of the function", "ReturnValue", self.lift(build(*values), result))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error
        finally:
            self._code = outer
        self._functions += [
            instruction("Function", result_id, ids[0], 0, signature),
            *(instruction("FunctionParameter", type_, id_) for type_, id_ in zip(types, ids[1:], strict=True)),
            instruction("Label", self.module.new_id()),
            *code.variables,
            *code.body,
            instruction("FunctionEnd"),
        ]
        return ids[0]
