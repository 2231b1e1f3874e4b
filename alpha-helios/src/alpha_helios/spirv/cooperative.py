"""Cooperative matrices: small matrices that a subgroup or a workgroup holds and multiplies together.

Source: SPV_KHR_cooperative_matrix.
"""

from typing import TYPE_CHECKING, Literal

import attrs

from alpha_helios.spirv.memory import ALIGNED, SCOPES
from alpha_helios.spirv.place import Indexed, Place, Pointer
from alpha_helios.spirv.subgroup import Subgroups
from alpha_helios.spirv.types import Type, i32, i64
from alpha_helios.spirv.value import Handle, Number, Value

if TYPE_CHECKING:
    from alpha_helios.spirv.builder import Scope
    from alpha_helios.spirv.kernel import Kernel

__all__ = ["Cooperative", "Layout", "Matrix", "MatrixType", "MatrixVariable", "Product", "Use"]

Use = Literal["a", "b", "accumulator"]
Layout = Literal["row", "column"]

_USES = {"a": 0, "b": 1, "accumulator": 2}
_LAYOUTS = {"row": 0, "column": 1}
_SIGNED = 0xF  # all four matrices of a product
_SATURATING = 0x10
_OPERATIONS = {
    "add": ("FAdd", "IAdd"),
    "sub": ("FSub", "ISub"),
    "mul": ("FMul", "IMul"),
    "div": ("FDiv", "SDiv"),
}


@attrs.frozen
class MatrixType:
    """A matrix of rows x columns components, what it is used for in a product, and who holds it."""

    component: Type
    rows: int
    columns: int
    use: Use
    scope: Literal["subgroup", "workgroup"] = "subgroup"

    def __str__(self) -> str:
        return f"matrix {self.use} of {self.rows} x {self.columns} {self.component} per {self.scope}"


@attrs.frozen
class Product:
    """A product of matrices that a kernel asks for: (m, k) times (k, n), added to (m, n)."""

    m: int
    n: int
    k: int
    a: Type
    b: Type
    accumulator: Type
    scope: Literal["subgroup", "workgroup"]


class Matrix(Handle):
    """One cooperative matrix. `+ - * /` go element by element between equal types; `*` takes a number too."""

    __slots__ = ("type",)

    def __init__(self, kernel: "Kernel", type_: MatrixType, id_: int, scope: "Scope | None") -> None:
        super().__init__(kernel, id_, scope)
        self.type = type_

    def __add__(self, other: "Matrix") -> "Matrix":
        return self.kernel.coop_binary("add", self, other)

    def __sub__(self, other: "Matrix") -> "Matrix":
        return self.kernel.coop_binary("sub", self, other)

    def __mul__(self, other: "Matrix | Number") -> "Matrix":
        if isinstance(other, Matrix):
            return self.kernel.coop_binary("mul", self, other)
        return self.kernel.coop_scale(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: "Matrix") -> "Matrix":
        return self.kernel.coop_binary("div", self, other)

    def __neg__(self) -> "Matrix":
        return self.kernel.coop_negate(self)

    def convert(self, component: Type) -> "Matrix":
        """The matrix with components of another type."""
        return self.kernel.coop_convert(self, component)

    def __str__(self) -> str:
        return f"{self.type} %{self.id}"

    __repr__ = __str__


class MatrixVariable:
    """A matrix that is assigned more than once, and whose components can be reached.

    Which component an invocation holds at an index is up to the device.
    """

    __slots__ = ("id", "kernel", "scope", "type")

    def __init__(self, kernel: "Kernel", type_: MatrixType, id_: int, scope: "Scope") -> None:
        self.kernel, self.type, self.id, self.scope = kernel, type_, id_, scope

    @property
    def value(self) -> Matrix:
        self.kernel.check_scope(self.scope, f"the variable of type {self.type}")
        return self.kernel.coop_emit(self.type, "Load", self.id)

    @value.setter
    def value(self, value: Matrix) -> None:
        self.kernel.check_scope(self.scope, f"the variable of type {self.type}")
        if not isinstance(value, Matrix) or value.type != self.type:
            raise TypeError(f"{value} assigned to a variable of type {self.type}")
        self.kernel.emit_void("Store", self.id, value)

    def __getitem__(self, index: Number) -> Value:
        return self.kernel.emit(self.type.component, "Load", self._component(index))

    def __setitem__(self, index: Number, value: Number) -> None:
        target = self._component(index)
        self.kernel.emit_void("Store", target, self.kernel.lift(value, self.type.component))

    def _component(self, index: Number) -> int:
        kernel = self.kernel
        kernel.check_scope(self.scope, f"the variable of type {self.type}")
        pointer = kernel.module.pointer_type("Function", kernel.module.type(self.type.component))
        return kernel.emit_raw(pointer, "AccessChain", self.id, kernel.lift(index, i32))


class Cooperative(Subgroups):
    """Works with cooperative matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.products: dict[Product, None] = {}
        """The products that are computed; the runtime compares them with what the device has."""

    def coop_matrix(
        self,
        component: Type,
        rows: int,
        columns: int,
        use: Use,
        scope: Literal["subgroup", "workgroup"] = "subgroup",
    ) -> MatrixType:
        """The type of a matrix. Workgroup scope needs NV_cooperative_matrix2."""
        if component.lanes or component.is_bool:
            raise TypeError(f"`coop_matrix` of {component}; components are integers or floats")
        if use not in _USES or scope not in ("subgroup", "workgroup"):
            raise ValueError(f"`coop_matrix` for use {use!r} and scope {scope!r}; uses: {', '.join(_USES)}")
        if rows < 1 or columns < 1:
            raise ValueError(f"`coop_matrix` of {rows} x {columns}")
        return MatrixType(component, rows, columns, use, scope)

    def coop_fill(self, type_: MatrixType, value: Number) -> Matrix:
        """A matrix with one number everywhere."""
        return self.coop_emit(type_, "CompositeConstruct", self.lift(value, type_.component))

    def coop_load(
        self,
        type_: MatrixType,
        place: Place,
        index: Number = 0,
        *,
        stride: Number,
        layout: Layout = "row",
        alignment: int | None = None,
    ) -> Matrix:
        """Loads a matrix. `index` counts elements of the place; `stride` components from row to row (of layout `row`).

        The place may have elements of another size than the components, such as i32x4, if rows begin at whole elements.
        """
        target, units, access = self._coop_target("coop_load", type_, place + index, stride, layout, alignment)
        matrix = self.coop_emit(type_, "CooperativeMatrixLoadKHR", target, _id(layout, self), units, *access)
        self.module.shared_access(self._code.body[-1], 6)
        return matrix

    def coop_store(
        self,
        place: Place,
        index: Number,
        matrix: Matrix,
        *,
        stride: Number,
        layout: Layout = "row",
        alignment: int | None = None,
    ) -> None:
        """Stores a matrix; see `coop_load`."""
        if isinstance(place, Pointer) and place.readonly:
            raise TypeError("`coop_store` through a pointer that was asked for with `readonly=True`")
        target, units, access = self._coop_target("coop_store", matrix.type, place + index, stride, layout, alignment)
        line = self.emit_void("CooperativeMatrixStoreKHR", target, matrix, _id(layout, self), units, *access)
        self.module.shared_access(line, 5)

    def coop_muladd(self, a: Matrix, b: Matrix, c: Matrix, *, saturating: bool = False) -> Matrix:
        """a b + c; integers are signed."""
        left, right, sum_ = a.type, b.type, c.type
        fits = (left.use, right.use, sum_.use) == ("a", "b", "accumulator")
        fits = fits and (left.rows, right.columns, left.columns) == (sum_.rows, sum_.columns, right.rows)
        fits = fits and left.scope == right.scope == sum_.scope
        fits = fits and left.component.kind == right.component.kind
        if not fits or left.component.is_float != sum_.component.is_float:
            raise TypeError(f"`coop_muladd` of {left}, {right} and {sum_}: they do not fit together")
        self.products[
            Product(left.rows, right.columns, left.columns, left.component, right.component, sum_.component, left.scope)
        ] = None
        signs = 0 if left.component.is_float else _SIGNED | (_SATURATING if saturating else 0)
        return self.coop_emit(sum_, "CooperativeMatrixMulAddKHR", a, b, c, *([signs] if signs else []))

    def coop_length(self, type_: MatrixType) -> Value:
        """How many components of a matrix each invocation holds."""
        return self.emit(i32, "CooperativeMatrixLengthKHR", self.coop_type_id(type_))

    def coop_variable(self, initial: Matrix) -> MatrixVariable:
        """Makes a local that holds matrices."""
        self.check(initial)
        local = self._local(self.coop_type_id(initial.type))
        variable = MatrixVariable(self._self, initial.type, local, self._code.scopes[0])
        variable.value = initial
        return variable

    # Element by element

    def coop_binary(self, operation: str, a: Matrix, b: Matrix) -> Matrix:
        if not isinstance(b, Matrix) or a.type != b.type:
            raise TypeError(f"`{operation}` of {a} and {b}; both must be of one type")
        name = _OPERATIONS[operation][0 if a.type.component.is_float else 1]
        result = self.coop_emit(a.type, name, a, b)
        if self.exact and name in ("FAdd", "FSub", "FMul"):
            self.module.decorate(result.id, "NoContraction")
        return result

    def coop_scale(self, matrix: Matrix, factor: Number) -> Matrix:
        """Multiplies every component by a number."""
        return self.coop_emit(matrix.type, "MatrixTimesScalar", matrix, self.lift(factor, matrix.type.component))

    def coop_negate(self, matrix: Matrix) -> Matrix:
        return self.coop_emit(matrix.type, "FNegate" if matrix.type.component.is_float else "SNegate", matrix)

    def coop_convert(self, matrix: Matrix, component: Type) -> Matrix:
        """The matrix with components of another type, converted like numbers."""
        source = matrix.type.component
        if source == component:
            return matrix
        if component.lanes or component.is_bool:
            raise TypeError(f"`coop_convert` to {component}; components are integers or floats")
        if source.is_float and component.is_float:
            name = "FConvert"
        elif source.is_float:
            name = "ConvertFToS"
        else:
            name = "ConvertSToF" if component.is_float else "SConvert"
        return self.coop_emit(attrs.evolve(matrix.type, component=component), name, matrix)

    # What matrices are made of

    def coop_emit(self, type_: MatrixType, name: str, *operands: Handle | int) -> Matrix:
        result = self.emit_raw(self.coop_type_id(type_), name, *operands)
        return Matrix(self._self, type_, result, self._code.scopes[-1])

    def coop_type_id(self, type_: MatrixType) -> int:
        module = self.module
        module.vulkan_memory_model = True
        module.capability("VulkanMemoryModel")
        module.capability("CooperativeMatrixKHR")
        module.arithmetic(type_.component)
        if type_.component.kind == "bf":
            module.capability("BFloat16CooperativeMatrixKHR")
        if type_.scope == "workgroup":
            module.requirements.add("cooperativeMatrixWorkgroupScope")
        numbers = (SCOPES[type_.scope], type_.rows, type_.columns, _USES[type_.use])
        component = module.type(type_.component)
        return module.unique(
            "TypeCooperativeMatrixKHR", component, *(module.constant(i32, number) for number in numbers)
        )

    def array_in(self, name: str, place: Place, component: Type) -> tuple[int, Type]:
        """Returns a pointer into an array, as instructions on whole matrices need it, and the type of its elements."""
        if isinstance(place, Indexed):
            if place.storage != "Workgroup":
                raise TypeError(f"`{name}` with an array of one invocation; matrices lie in buffers or shared memory")
            return place.target(), place.element
        assert isinstance(place, Pointer)
        self.module.stored(component)
        address = place.address + place.offset if place.offset else place.address
        block = self._array_block(component)
        whole = self.emit_raw(self.module.pointer_type("PhysicalStorageBuffer", block), "ConvertUToPtr", address)
        element = self.module.pointer_type("PhysicalStorageBuffer", self.module.type(component))
        zero = self.constant(i32, 0)
        return self.emit_raw(element, "AccessChain", whole, zero, zero), component

    def _array_block(self, component: Type) -> int:
        array = self.module.runtime_array_type(self.module.type(component), component.nbytes)
        return self._block_of(array)

    def _coop_target(
        self, name: str, type_: MatrixType, place: Place, stride: Number, layout: Layout, alignment: int | None
    ) -> tuple[int, Value, tuple[int, ...]]:
        """The pointer, the stride in its units, and how memory is accessed."""
        if layout not in _LAYOUTS:
            raise ValueError(f"`{name}` with layout {layout!r}; there are 'row' and 'column'")
        component = type_.component
        self.coop_type_id(type_)
        target, element = self.array_in(name, place, component)
        ratio, rest = divmod(element.nbytes, component.nbytes)
        if rest:
            raise TypeError(f"`{name}` of {type_} with elements of {element}, which are not whole components")
        if isinstance(stride, Value):
            self.need(name, stride, "i32 or i64 as stride", stride.type in (i32, i64))
            units = stride if ratio == 1 else self.divide_unsigned(stride, ratio)
        elif stride % ratio:
            raise ValueError(f"`{name}` with stride {stride}: rows begin inside elements of {ratio} components")
        else:
            units = self.constant(i32, stride // ratio)
        if isinstance(place, Indexed):
            return target, units, (0,)
        return target, units, (ALIGNED, alignment or component.nbytes)


def _id(layout: Layout, k: Cooperative) -> Value:
    return k.constant(i32, _LAYOUTS[layout])
