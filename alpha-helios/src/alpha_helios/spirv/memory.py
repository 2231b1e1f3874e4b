"""Memory: loads, stores, variables, atomic operations and barriers."""

from typing import Literal

from alpha_helios.spirv.arithmetic import Arithmetic
from alpha_helios.spirv.module import Instruction, instruction
from alpha_helios.spirv.opcodes import STORAGE
from alpha_helios.spirv.place import Indexed, Place, Pointer, Variable
from alpha_helios.spirv.types import Type, f32, i32, i64
from alpha_helios.spirv.value import Number, Value

__all__ = ["ALIGNED", "SCOPES", "Memory"]

SCOPES = {"device": 1, "workgroup": 2, "subgroup": 3}
_ORDERS = {"relaxed": 0, "acquire": 0x2, "release": 0x4, "acquire_release": 0x8}
_BUFFERS, _SHARED = 0x40, 0x100
_AVAILABLE, _VISIBLE = 0x2000, 0x4000  # of the Vulkan memory model
_VOLATILE, ALIGNED = 0x1, 0x2

Scope = Literal["device", "workgroup", "subgroup"]
Order = Literal["relaxed", "acquire", "release", "acquire_release"]


class Memory(Arithmetic):
    """Reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.shared_bytes = 0
        """How much memory a workgroup shares."""
        self._semantics: list[tuple[Instruction, int, int]] = []
        self._device_scope = False
        self._blocks: dict[tuple[int, bool], int] = {}

    # Variables

    def variable(self, initial: Number, type_: Type | None = None) -> Variable:
        """Makes a local variable."""
        if type_ is None:
            if not isinstance(initial, Value):
                raise TypeError("the type of a variable that starts as a plain number must be named")
            type_ = initial.type
        self.module.arithmetic(type_)
        variable = Variable(self._self, type_, self._local(self.module.type(type_)), self._code.scopes[0])
        variable.value = initial
        return variable

    def array(self, element: Type, count: int) -> Indexed:
        """Makes an array of one invocation. Indices that are known while building let drivers keep it in registers."""
        self._need_count("array", count)
        self.module.arithmetic(element)
        local = self._local(self.module.array_type(self.module.type(element), count))
        return Indexed(self._self, element, local, count, "Function", self._code.scopes[0])

    def shared(self, element: Type, count: int) -> Indexed:
        """Takes `count` elements of the memory that a workgroup shares; what it holds at first is undefined."""
        self._need_count("shared", count)
        if element.is_bool:
            raise TypeError("`shared` of truth values; keep them as i32")
        self.module.arithmetic(element)
        variable = self.module.variable("Workgroup", self.module.array_type(self.module.type(element), count))
        self.shared_bytes += count * element.nbytes
        return Indexed(self._self, element, variable, count, "Workgroup", None)

    def _local(self, pointee: int) -> int:
        variable = self.module.new_id()
        type_ = self.module.pointer_type("Function", pointee)
        self._code.variables.append(instruction("Variable", type_, variable, STORAGE["Function"]))
        return variable

    def _need_count(self, name: str, count: int) -> None:
        if count < 1:
            raise ValueError(f"`{name}` of {count} elements; there must be at least one")

    # Loads and stores

    def load_physical(self, place: Pointer, type_: Type, alignment: int | None, volatile: bool) -> Value:
        access = self._physical_access(type_, alignment, volatile)
        target = self.physical(place, type_)
        result = self.value(type_, self.emit_raw(self.module.type(type_), "Load", target, *access))
        self.module.shared_access(self._code.body[-1], 4)
        return result

    def store_physical(self, place: Pointer, value: Value, alignment: int | None, volatile: bool) -> None:
        if place.readonly:
            raise TypeError("a store through a pointer that was asked for with `readonly=True`")
        access = self._physical_access(value.type, alignment, volatile)
        self.module.shared_access(self.emit_void("Store", self.physical(place, value.type), value, *access), 3)

    def physical(self, place: Pointer, type_: Type) -> int:
        """Turns an address into a pointer to one value of `type_`."""
        if type_.is_bool:
            raise TypeError("truth values do not lie in buffers; keep them as i8 or i32")
        self.module.stored(type_)
        address = place.address + place.offset if place.offset else place.address
        pointee = self.module.type(type_)
        if not place.readonly:
            return self.emit_raw(self.module.pointer_type("PhysicalStorageBuffer", pointee), "ConvertUToPtr", address)
        block = self._block_of(pointee, readonly=True)
        whole = self.emit_raw(self.module.pointer_type("PhysicalStorageBuffer", block), "ConvertUToPtr", address)
        member = self.module.pointer_type("PhysicalStorageBuffer", pointee)
        return self.emit_raw(member, "AccessChain", whole, self.constant(i32, 0))

    def _block_of(self, member: int, *, readonly: bool = False) -> int:
        """A struct in a buffer whose only member has the type `member`."""
        block = self._blocks.get((member, readonly))
        if block is None:
            block = self._blocks[member, readonly] = self.module.declare("TypeStruct", member)
            self.module.decorate(block, "Block")
            self.module.decorate_member(block, 0, "Offset", 0)
            if readonly:
                self.module.decorate_member(block, 0, "NonWritable")
        return block

    def _physical_access(self, type_: Type, alignment: int | None, volatile: bool) -> tuple[int, int]:
        width = type_.scalar.nbytes
        natural = width if type_.lanes == 3 else type_.nbytes
        if alignment is not None and (alignment & alignment - 1 or alignment < width):
            raise ValueError(f"alignment {alignment} of {type_}; it must be a power of 2 of at least {width}")
        return ALIGNED | (_VOLATILE if volatile else 0), min(alignment, natural) if alignment else natural

    def element_of(self, place: Indexed, lane: Number | None = None) -> int:
        """Returns a pointer to the first element of a place, or to one lane of it."""
        self.check_scope(place.scope, f"the array of {place.element}")
        if not isinstance(place.first, Value) and not 0 <= place.first < place.count:
            raise IndexError(f"element {place.first} of {place.count}")
        index = place.first if isinstance(place.first, Value) else self.constant(i32, place.first)
        pointee = self.module.type(place.element if lane is None else place.element.scalar)
        further = () if lane is None else (self.lift(lane, i32),)
        pointer = self.module.pointer_type(place.storage, pointee)
        return self.emit_raw(pointer, "AccessChain", place.variable, index, *further)

    def load_indexed(self, place: Indexed) -> Value:
        if place.storage == "Function":
            return self.emit(place.element, "Load", place.target())
        result = self.emit(place.element, "Load", place.target(), 0)
        self.module.shared_access(self._code.body[-1], 4)
        return result

    def store_indexed(self, place: Indexed, value: Value) -> None:
        self._store_at(place, place.target(), value)

    def store_lane(self, place: Indexed, lane: Number, value: Number) -> None:
        """Stores one lane of the vector at a place."""
        if not place.element.lanes:
            raise TypeError(f"`store_lane` into {place.element}, which has no lanes")
        if not isinstance(lane, Value) and not 0 <= lane < place.element.lanes:
            raise IndexError(f"lane {lane} of {place.element}")
        self._store_at(place, self.element_of(place, lane), self.lift(value, place.element.scalar))

    def _store_at(self, place: Indexed, target: int, value: Value) -> None:
        if place.storage == "Function":
            self.emit_void("Store", target, value)
        else:
            self.module.shared_access(self.emit_void("Store", target, value, 0), 3)

    # Atomic operations, on i32, i64 and in part f32

    def atomic_load(self, place: Place, *, scope: Scope = "device", order: Order = "relaxed") -> Value:
        return self._atomic("AtomicLoad", place, (), scope, order)

    def atomic_store(self, place: Place, value: Number, *, scope: Scope = "device", order: Order = "relaxed") -> None:
        stored = self._operand("atomic_store", place, value)
        self._atomic_type("atomic_store", place, add=False)
        target = place.target()
        line = self.emit_void("AtomicStore", target, self._scope_id(scope), self.constant(i32, 0), stored)
        self._semantics.append((line, 3, self._order(place, order)))

    def atomic_add(self, place: Place, value: Number, *, scope: Scope = "device", order: Order = "relaxed") -> Value:
        """Adds and returns what was there before."""
        name = "AtomicFAddEXT" if place.element.is_float else "AtomicIAdd"
        return self._atomic(name, place, (self._operand("atomic_add", place, value),), scope, order)

    def atomic_max(self, place: Place, value: Number, *, scope: Scope = "device", order: Order = "relaxed") -> Value:
        """Keeps the larger, and returns what was there before."""
        name = "AtomicFMaxEXT" if place.element.is_float else "AtomicSMax"
        return self._atomic(name, place, (self._operand("atomic_max", place, value),), scope, order)

    def atomic_min(self, place: Place, value: Number, *, scope: Scope = "device", order: Order = "relaxed") -> Value:
        """Keeps the smaller, and returns what was there before."""
        name = "AtomicFMinEXT" if place.element.is_float else "AtomicSMin"
        return self._atomic(name, place, (self._operand("atomic_min", place, value),), scope, order)

    def atomic_max_unsigned(self, place: Place, value: Number, *, scope: Scope = "device") -> Value:
        return self._atomic("AtomicUMax", place, (self._operand("atomic_max_unsigned", place, value),), scope)

    def atomic_min_unsigned(self, place: Place, value: Number, *, scope: Scope = "device") -> Value:
        return self._atomic("AtomicUMin", place, (self._operand("atomic_min_unsigned", place, value),), scope)

    def atomic_and(self, place: Place, value: Number, *, scope: Scope = "device") -> Value:
        return self._atomic("AtomicAnd", place, (self._operand("atomic_and", place, value),), scope)

    def atomic_or(self, place: Place, value: Number, *, scope: Scope = "device") -> Value:
        return self._atomic("AtomicOr", place, (self._operand("atomic_or", place, value),), scope)

    def atomic_xor(self, place: Place, value: Number, *, scope: Scope = "device") -> Value:
        return self._atomic("AtomicXor", place, (self._operand("atomic_xor", place, value),), scope)

    def atomic_exchange(
        self, place: Place, value: Number, *, scope: Scope = "device", order: Order = "relaxed"
    ) -> Value:
        """Stores and returns what was there before."""
        return self._atomic("AtomicExchange", place, (self._operand("atomic_exchange", place, value),), scope, order)

    def atomic_compare_exchange(
        self, place: Place, expected: Number, value: Number, *, scope: Scope = "device", order: Order = "relaxed"
    ) -> Value:
        """Stores if `expected` is there; returns what was there before."""
        self._atomic_type("atomic_compare_exchange", place, add=False, floats=False)
        new = self._operand("atomic_compare_exchange", place, value)
        old = self._operand("atomic_compare_exchange", place, expected)
        target, zero = place.target(), self.constant(i32, 0)
        result = self.emit(place.element, "AtomicCompareExchange", target, self._scope_id(scope), zero, zero, new, old)
        self._semantics.append((self._code.body[-1], 5, self._order(place, order)))
        failed: Order = "acquire" if order in ("acquire", "acquire_release") else "relaxed"
        self._semantics.append((self._code.body[-1], 6, self._order(place, failed)))
        return result

    def _atomic(
        self, name: str, place: Place, operands: tuple[Value, ...], scope: Scope, order: Order = "relaxed"
    ) -> Value:
        floats = name in ("AtomicLoad", "AtomicExchange") or name.endswith("EXT")
        extreme = name in ("AtomicFMaxEXT", "AtomicFMinEXT")
        self._atomic_type(name, place, add=name == "AtomicFAddEXT", floats=floats, extreme=extreme)
        target = place.target()
        result = self.emit(place.element, name, target, self._scope_id(scope), self.constant(i32, 0), *operands)
        self._semantics.append((self._code.body[-1], 5, self._order(place, order)))
        return result

    def _atomic_type(self, name: str, place: Place, *, add: bool, floats: bool = True, extreme: bool = False) -> None:
        """Checks the element of an atomic operation and notes what the device needs."""
        if isinstance(place, Indexed) and place.storage == "Function":
            raise TypeError(f"`{name}` in an array of one invocation, which needs no atomic operations")
        if isinstance(place, Pointer) and place.readonly:
            raise TypeError(f"`{name}` through a pointer that was asked for with `readonly=True`")
        if place.element not in ((i32, i64, f32) if floats else (i32, i64)):
            raise TypeError(f"`{name}` on {place.element}; it works on i32, i64" + (" and f32" if floats else ""))
        where = "Shared" if isinstance(place, Indexed) else "Buffer"
        if place.element == i64:
            self.module.capability("Int64Atomics")
            self.module.requirements.add(f"shader{where}Int64Atomics")
        elif place.element == f32:
            self.module.requirements.add(f"shader{where}Float32Atomic{'Add' if add else 'MinMax' if extreme else 's'}")
            if add or extreme:
                self.module.capability("AtomicFloat32AddEXT" if add else "AtomicFloat32MinMaxEXT")

    def _operand(self, name: str, place: Place, value: Number) -> Value:
        try:
            return self.lift(value, place.element)
        except TypeError as error:
            raise TypeError(f"`{name}` on {place.element}: {error}") from None

    def _scope_id(self, scope: Scope) -> Value:
        if scope == "device":
            self._device_scope = True
        return self.constant(i32, SCOPES[scope])

    def _order(self, place: Place, order: Order) -> int:
        semantics = _ORDERS[order]
        return semantics | (_SHARED if isinstance(place, Indexed) else _BUFFERS) if semantics else 0

    # Barriers

    def barrier(self, *, shared: bool = True, buffers: bool = False) -> None:
        """Waits for the whole workgroup, and lets it see what was written to shared memory, and to buffers if asked."""
        self._barrier("workgroup", shared, buffers)

    def subgroup_barrier(self, *, shared: bool = True, buffers: bool = False) -> None:
        """Waits for the subgroup, and lets it see what was written."""
        self.module.capability("GroupNonUniform")
        self._barrier("subgroup", shared, buffers)

    def memory_barrier(self, scope: Scope = "device", *, shared: bool = False, buffers: bool = True) -> None:
        """Orders what this invocation writes before what it does next, as others see it; waits for nobody."""
        line = self.emit_void("MemoryBarrier", self._scope_id(scope), self.constant(i32, 0))
        self._semantics.append((line, 2, self._visible(shared, buffers)))

    def _barrier(self, scope: Scope, shared: bool, buffers: bool) -> None:
        where = self._scope_id(scope)
        line = self.emit_void("ControlBarrier", where, where, self.constant(i32, 0))
        self._semantics.append((line, 3, self._visible(shared, buffers)))

    def _visible(self, shared: bool, buffers: bool) -> int:
        memory = (_SHARED if shared else 0) | (_BUFFERS if buffers else 0)
        return _ORDERS["acquire_release"] | memory if memory else 0

    def _finish_memory(self) -> None:
        """Writes down what barriers and atomic operations make visible, which depends on the memory model."""
        vulkan = self.module.vulkan_memory_model
        if vulkan and self._device_scope:
            self.module.capability("VulkanMemoryModelDeviceScope")
        for line, position, semantics in self._semantics:
            bits = semantics
            if vulkan and semantics & (_ORDERS["release"] | _ORDERS["acquire_release"]):
                bits |= _AVAILABLE
            if vulkan and semantics & (_ORDERS["acquire"] | _ORDERS["acquire_release"]):
                bits |= _VISIBLE
            line[position] = self.module.constant(i32, bits)
