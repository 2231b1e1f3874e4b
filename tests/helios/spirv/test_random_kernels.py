"""Whatever is built from values and control flow without an error in Python is a valid module."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.helios.spirv.tools import validated

from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Variable
from alpha_helios.spirv.types import Type, f16, f32, i16, i32, i64, vector
from alpha_helios.spirv.value import Value

_SCALARS = (i16, i32, i64, f16, f32)
_BINARY: tuple[Callable[[Value, Value], Value], ...] = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: a % b,
)


class _Writer:
    """Draws statements and expressions for a kernel."""

    def __init__(self, draw: st.DataObject, kernel: Kernel) -> None:
        self.draw, self.k = draw.draw, kernel
        self.memory = kernel.pointer(f32)
        self.shared = kernel.shared(f32, 64)
        self.variables: list[Variable] = []
        self.indices: list[Value] = [kernel.local_index, kernel.group(0)]
        self.loops = 0

    def number(self, type_: Type, depth: int) -> Value:
        """An expression of a type."""
        k, choice = self.k, self.draw(st.integers(0, 8 if depth else 2))
        if choice == 0:
            return k.constant(type_, self.draw(st.integers(-100, 100)))
        if choice == 1:
            fits = [variable for variable in self.variables if variable.type == type_]
            return self.draw(st.sampled_from(fits)).value if fits else k.constant(type_, 1)
        if choice == 2:
            return self.memory.cast(type_.scalar).load(self.index(), type_.lanes)
        if choice == 3:
            other = self.draw(st.sampled_from(_SCALARS))
            return k.convert(self.number(vector(other, type_.lanes), depth - 1), type_.scalar)
        if choice == 4:
            first, second = self.number(type_, depth - 1), self.number(type_, depth - 1)
            return k.select(self.condition(depth - 1), first, second)
        if choice == 5:
            return self.function(type_, depth)
        if choice == 6 and not type_.lanes:
            return k.horizontal_sum(self.number(vector(type_, self.draw(st.integers(2, 4))), depth - 1))
        if choice == 7 and type_.lanes:
            return k.splat(self.number(type_.scalar, depth - 1), type_.lanes)
        operation = self.draw(st.sampled_from(_BINARY))
        return operation(self.number(type_, depth - 1), self.number(type_, depth - 1))

    def function(self, type_: Type, depth: int) -> Value:
        k, x = self.k, self.number(type_, depth - 1)
        if not type_.is_float:
            return k.maximum(x >> 1, ~x ^ 3)
        return self.draw(st.sampled_from([k.sqrt, k.exp, k.tanh, k.floor, k.absolute, k.subgroup_max]))(x)

    def condition(self, depth: int) -> Value:
        type_ = self.draw(st.sampled_from(_SCALARS))
        return self.number(type_, depth) < self.number(type_, depth)

    def index(self) -> Value:
        return self.draw(st.sampled_from(self.indices)) + self.draw(st.integers(0, 9))

    def statements(self, depth: int) -> None:
        """A few statements; a jump may end them."""
        variables, indices = len(self.variables), len(self.indices)
        for _ in range(self.draw(st.integers(1, 3))):
            if self.statement(depth):
                break
        del self.variables[variables:], self.indices[indices:]

    def statement(self, depth: int) -> bool:
        """Draws one statement, and says whether it ends the block."""
        k, choice = self.k, self.draw(st.integers(0, 7 if depth else 3))
        if choice == 0:
            lanes = self.draw(st.sampled_from([0, 2, 3, 4]))
            type_ = vector(self.draw(st.sampled_from(_SCALARS)), lanes)
            self.variables.append(k.variable(self.number(type_, 2)))
        elif choice == 1 and self.variables:
            variable = self.draw(st.sampled_from(self.variables))
            variable.value = self.number(variable.type, 2)
        elif choice == 2:
            self.shared[self.index() & 63] = self.number(f32, 2)
        elif choice == 4:
            return self.branch(depth)
        elif choice == 5:
            with self.k.range_(0, self.index(), self.draw(st.integers(1, 3))) as index:
                self.indices.append(index)
                self.body(depth)
                self.indices.pop()
        elif choice == 6:
            with self.k.while_(lambda: self.condition(1)):
                self.body(depth)
        elif choice == 7 and self.loops:
            self.draw(st.sampled_from([k.break_, k.continue_]))()
            return True
        else:
            self.memory[self.index()] = self.number(f32, 3)
        return False

    def branch(self, depth: int) -> bool:
        with self.k.if_(self.condition(2)) as branch:
            self.statements(depth - 1)
        if self.draw(st.booleans()):
            with branch.else_():
                self.statements(depth - 1)
        return bool(self.k._code.ended)

    def body(self, depth: int) -> None:
        self.loops += 1
        self.statements(depth - 1)
        self.loops -= 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_random_kernels_are_valid(data: st.DataObject) -> None:
    k = Kernel((64, 1, 1))
    writer = _Writer(data, k)
    for _ in range(3):
        if writer.statement(3):
            break
    validated(k)
