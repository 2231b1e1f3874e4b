"""A function under construction: instructions, structured control flow, and the intrinsics that kernels need."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alpha_tensor.cpu.llvm.types import Type, i1, i32, i64, pointer, vector
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value, Variable

if TYPE_CHECKING:
    from alpha_tensor.cpu.llvm.module import Module

__all__ = ["Function"]

_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "div": "sdiv", "rem": "srem"}
_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_BITS = ("and", "or", "xor", "shl", "lshr")


class Function:
    """Builds one function. Blocks are opened and closed by `range_`, `while_` and `if_`, so they nest as in Python."""

    def __init__(self, module: "Module", name: str, result: Type | None, parameters: Sequence[Type]) -> None:
        self.module, self.name, self.result = module, name, result
        self._locals: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self.parameters = [Value(self, type_, f"%p{index}") for index, type_ in enumerate(parameters)]

    # Instructions

    def emit(self, type_: Type, instruction: str) -> Value:
        """Appends an instruction that has a result."""
        self._count += 1
        self._lines.append(f"  %v{self._count} = {instruction}")
        return Value(self, type_, f"%v{self._count}")

    def emit_void(self, instruction: str) -> None:
        """Appends an instruction without a result."""
        self._lines.append(f"  {instruction}")

    def constant(self, type_: Type, value: float) -> Value:
        return Value(self, type_, type_.literal(value))

    def lift(self, value: Number, type_: Type) -> Value:
        """Makes a number, or a scalar where a vector is needed, a value of `type_`."""
        if not isinstance(value, Value):
            return self.constant(type_, value)
        if value.type == type_:
            return value
        if type_.lanes and not value.type.lanes and value.type == type_.scalar:
            return self.splat(value, type_.lanes)
        raise TypeError(f"a value of type {value.type} where {type_} is needed")

    def splat(self, value: Value, lanes: int) -> Value:
        """Spreads a scalar over the lanes of a vector."""
        type_ = vector(value.type, lanes)
        first = self.emit(type_, f"insertelement {type_} poison, {value}, i64 0")
        return self.emit(type_, f"shufflevector {first}, {type_} poison, <{lanes} x i32> zeroinitializer")

    def iota(self, element: Type, lanes: int) -> Value:
        """Returns 0, 1, ..., lanes - 1."""
        type_ = vector(element, lanes)
        return Value(self, type_, "<" + ", ".join(f"{element} {element.literal(i)}" for i in range(lanes)) + ">")

    def lane_mask(self, count: Number, lanes: int) -> Value:
        """Returns true in the first `count` lanes."""
        return self.iota(i64, lanes) < self.splat(self.lift(count, i64), lanes)

    def binary(self, operation: str, a: Number, b: Number) -> Value:
        left, right = self._pair(a, b)
        name = operation if operation in _BITS else (_FLOAT if left.type.is_float else _INTEGER)[operation]
        return self.emit(left.type, f"{name} {left}, {right.text}")

    def negate(self, value: Value) -> Value:
        if value.type.is_float:
            return self.emit(value.type, f"fneg {value}")
        return self.binary("sub", 0, value)

    def compare(self, relation: str, a: Number, b: Number) -> Value:
        """Compares; false where a float is NaN, except `ne`, which is true there."""
        left, right = self._pair(a, b)
        result = vector(i1, left.type.lanes) if left.type.lanes else i1
        if left.type.is_float:
            predicate = "fcmp une" if relation == "ne" else f"fcmp o{relation}"
        else:
            predicate = f"icmp {relation}" if relation in ("eq", "ne") else f"icmp s{relation}"
        return self.emit(result, f"{predicate} {left}, {right.text}")

    def unordered(self, a: Number, b: Number) -> Value:
        """True where either is NaN."""
        left, right = self._pair(a, b)
        result = vector(i1, left.type.lanes) if left.type.lanes else i1
        return self.emit(result, f"fcmp uno {left}, {right.text}")

    def below(self, a: Number, b: Number) -> Value:
        """Compares integers as unsigned."""
        left, right = self._pair(a, b)
        result = vector(i1, left.type.lanes) if left.type.lanes else i1
        return self.emit(result, f"icmp ult {left}, {right.text}")

    def select(self, condition: Value, a: Number, b: Number) -> Value:
        """Returns a where `condition` is true, else b."""
        left, right = self._pair(a, b)
        if condition.type.lanes and not left.type.lanes:
            left, right = (self.splat(side, condition.type.lanes) for side in (left, right))
        return self.emit(left.type, f"select {condition}, {left}, {right}")

    def convert(self, value: Value, element: Type) -> Value:
        """Converts between numbers: floats to integers truncate, integers are signed, i1 gives 0 or 1."""
        source, target = value.type, vector(element, value.type.lanes) if value.type.lanes else element
        if source == target:
            return value
        if source.is_float and target.is_float:
            if source.bits == target.bits:
                raise TypeError(f"no direct conversion from {source} to {target}")
            name = "fpext" if target.bits > source.bits else "fptrunc"
        elif source.is_float:
            name = "fptosi"
        elif target.is_float:
            name = "uitofp" if source.bits == 1 else "sitofp"
        elif target.bits > source.bits:
            name = "zext" if source.bits == 1 else "sext"
        else:
            name = "trunc"
        return self.emit(target, f"{name} {value} to {target}")

    def widen_unsigned(self, value: Value, element: Type) -> Value:
        """Extends an integer with zeros."""
        target = vector(element, value.type.lanes) if value.type.lanes else element
        return self.emit(target, f"zext {value} to {target}")

    def bitcast(self, value: Value, type_: Type) -> Value:
        """Takes the same bits as another type."""
        return self.emit(type_, f"bitcast {value} to {type_}")

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Picks lanes of two vectors one after the other."""
        type_ = vector(a.type.scalar, len(lanes))
        chosen = ", ".join(f"i32 {lane}" for lane in lanes)
        return self.emit(type_, f"shufflevector {a}, {b}, <{len(lanes)} x i32> <{chosen}>")

    def extract(self, value: Value, lane: Number) -> Value:
        return self.emit(value.type.scalar, f"extractelement {value}, {self.lift(lane, i64)}")

    # Intrinsics and calls

    def intrinsic(self, name: str, result: Type | None, *arguments: Value) -> Value:
        """Calls an LLVM intrinsic by its full name."""
        types = ", ".join(str(argument.type) for argument in arguments)
        self.module.declare(f"declare {result or 'void'} @{name}({types})")
        call = f"call {result or 'void'} @{name}({', '.join(map(str, arguments))})"
        if result is None:
            self.emit_void(call)
            return self.constant(i1, 0)
        return self.emit(result, call)

    def immediate(self, name: str, *numbers: int) -> None:
        """Calls an intrinsic whose arguments are bytes fixed in the instruction, such as the numbers of tiles."""
        self.module.declare(f"declare void @{name}({', '.join(['i8 immarg'] * len(numbers))})")
        self.emit_void(f"call void @{name}({', '.join(f'i8 {number}' for number in numbers)})")

    def overloaded(self, name: str, *arguments: Number) -> Value:
        """Calls an intrinsic whose operands and result have one type, such as `sqrt`, `fabs`, `maxnum`, `fmuladd`."""
        first = next(argument for argument in arguments if isinstance(argument, Value))
        widest = max((a for a in arguments if isinstance(a, Value)), key=lambda a: a.type.lanes, default=first)
        lifted = [self.lift(argument, widest.type) for argument in arguments]
        return self.intrinsic(f"llvm.{name}.{widest.type.suffix}", widest.type, *lifted)

    def fma(self, a: Number, b: Number, c: Number) -> Value:
        """a * b + c, in one rounding where the processor has such an instruction."""
        return self.overloaded("fmuladd", a, b, c)

    def sqrt(self, x: Value) -> Value:
        return self.overloaded("sqrt", x)

    def absolute(self, x: Value) -> Value:
        return self.overloaded("fabs", x) if x.type.is_float else self.select(x < 0, 0 - x, x)

    def maximum(self, a: Number, b: Number) -> Value:
        """The larger; of a number and NaN the number, for floats."""
        left, right = self._pair(a, b)
        return self.overloaded("maxnum" if left.type.is_float else "smax", left, right)

    def minimum(self, a: Number, b: Number) -> Value:
        """The smaller; of a number and NaN the number, for floats."""
        left, right = self._pair(a, b)
        return self.overloaded("minnum" if left.type.is_float else "smin", left, right)

    def horizontal_sum(self, value: Value) -> Value:
        """Adds the lanes in a fixed order: halves onto each other, so that it is the same on every processor."""
        return self.fold(value, lambda a, b: a + b)

    def horizontal_max(self, value: Value) -> Value:
        return self.fold(value, self.maximum)

    def fold(self, value: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """Combines the lanes in a fixed order: halves with each other."""
        lanes = value.type.lanes
        while lanes > 1:
            lanes //= 2
            low = self.shuffle(value, value, range(lanes))
            high = self.shuffle(value, value, range(lanes, 2 * lanes))
            value = combine(low, high)
        return self.extract(value, 0)

    def call(self, function: "Function", *arguments: Number) -> Value | None:
        """Calls another function of the module."""
        given = [self.lift(a, p.type) for a, p in zip(arguments, function.parameters, strict=True)]
        text = f"@{function.name}({', '.join(map(str, given))})"
        if function.result is None:
            self.emit_void(f"call void {text}")
            return None
        return self.emit(function.result, f"call {function.result} {text}")

    def call_pointer(self, target: Value, result: Type | None, *arguments: Value) -> Value | None:
        """Calls a function by its address."""
        types = ", ".join(str(argument.type) for argument in arguments)
        text = f"call {result or 'void'} ({types}) {target.text}({', '.join(map(str, arguments))})"
        if result is None:
            self.emit_void(text)
            return None
        return self.emit(result, text)

    def call_c(self, name: str, result: Type, *arguments: Value) -> Value:
        """Calls a function of the C library."""
        types = ", ".join(str(argument.type) for argument in arguments)
        self.module.declare(f"declare {result} @{name}({types})")
        return self.emit(result, f"call {result} @{name}({', '.join(map(str, arguments))})")

    def to_pointer(self, value: Value) -> Value:
        """Takes an i64 as an address."""
        return self.emit(pointer, f"inttoptr {value} to ptr")

    # Between threads: all of these are sequentially consistent, on i64

    def atomic_load(self, place: Pointer) -> Value:
        return self.emit(i64, f"load atomic i64, {place.address} seq_cst, align 8")

    def atomic_store(self, place: Pointer, value: Number) -> None:
        self.emit_void(f"store atomic {self.lift(value, i64)}, {place.address} seq_cst, align 8")

    def atomic_add(self, place: Pointer, value: Number) -> Value:
        """Adds and returns what was there before."""
        return self.emit(i64, f"atomicrmw add {place.address}, {self.lift(value, i64)} seq_cst, align 8")

    def pause(self) -> None:
        """Tells the processor that a loop only waits."""
        if self.module.architecture == "x86":
            self.intrinsic("llvm.x86.sse2.pause", None)
        elif self.module.architecture == "arm":
            self.intrinsic("llvm.aarch64.hint", None, self.constant(i32, 1))

    # Memory

    def load(self, source: Pointer, lanes: int, mask: Value | None) -> Value:
        element = source.element
        type_ = vector(element, lanes) if lanes else element
        if mask is None:
            return self.load_typed(source.address, type_, element.nbytes)
        name = f"llvm.masked.load.{type_.suffix}.p0"
        masks = vector(i1, lanes)
        self.module.declare(f"declare {type_} @{name}(ptr, {masks}, {type_})")
        zero = self.constant(type_, 0)
        address = f"ptr align {element.nbytes} {source.address.text}"
        return self.emit(type_, f"call {type_} @{name}({address}, {mask}, {zero})")

    def prefetch(self, place: Pointer) -> None:
        """Asks for a cache line that will soon be written; the address may be one where nothing is."""
        name = "llvm.prefetch.p0"
        self.module.declare(f"declare void @{name}(ptr, i32 immarg, i32 immarg, i32 immarg)")
        self.emit_void(f"call void @{name}({place.address}, i32 1, i32 3, i32 1)")

    def store(self, target: Pointer, value: Number, mask: Value | None) -> None:
        element = target.element
        if not isinstance(value, Value):
            value = self.constant(element, value)
        if value.type.scalar != element:
            raise TypeError(f"a value of type {value.type} stored as {element}")
        if mask is None:
            self.store_typed(target.address, value, element.nbytes)
            return
        name = f"llvm.masked.store.{value.type.suffix}.p0"
        self.module.declare(f"declare void @{name}({value.type}, ptr, {vector(i1, value.type.lanes)})")
        address = f"ptr align {element.nbytes} {target.address.text}"
        self.emit_void(f"call void @{name}({value}, {address}, {mask})")

    def load_typed(self, address: Value, type_: Type, alignment: int = 0) -> Value:
        return self.emit(type_, f"load {type_}, {address}" + (f", align {alignment}" if alignment else ""))

    def store_typed(self, address: Value, value: Value, alignment: int = 0) -> None:
        self.emit_void(f"store {value}, {address}" + (f", align {alignment}" if alignment else ""))

    def variable(self, initial: Number, type_: Type | None = None) -> Variable:
        """Makes a local variable."""
        if type_ is None:
            if not isinstance(initial, Value):
                raise TypeError("the type of a variable that starts as a plain number must be named")
            type_ = initial.type
        variable = Variable(self.stack(type_), type_)
        variable.value = initial
        return variable

    def stack(self, type_: Type, count: int = 1) -> Pointer:
        """Reserves room for `count` elements until the function returns, aligned to 64 bytes."""
        self._count += 1
        self._locals.append(f"  %v{self._count} = alloca {type_}, i64 {count}, align 64")
        return Pointer(Value(self, pointer, f"%v{self._count}"), type_)

    # Control flow

    @contextmanager
    def range_(self, start: Number, stop: Number, step: Number = 1) -> Iterator[Value]:
        """Runs the body for start, start + step, ... below stop."""
        index = self.variable(self.lift(start, i64))
        limit, stride = self.lift(stop, i64), self.lift(step, i64)
        with self.while_(lambda: index.value < limit):
            current = index.value
            yield current
            index.value = current + stride

    @contextmanager
    def while_(self, condition: Callable[[], Value]) -> Iterator[None]:
        """Runs the body as long as `condition()`, which is built before it, gives true."""
        head, body, after = self._label("head"), self._label("body"), self._label("after")
        self._jump(head)
        self._open(head)
        proceed = condition()
        self.emit_void(f"br {proceed}, label %{body}, label %{after}")
        self._open(body)
        yield
        self._jump(head)
        self._open(after)

    @contextmanager
    def if_(self, condition: Value) -> Iterator[None]:
        """Runs the body where `condition` is true."""
        then, after = self._label("then"), self._label("after")
        self.emit_void(f"br {condition}, label %{then}, label %{after}")
        self._open(then)
        yield
        self._jump(after)
        self._open(after)

    @contextmanager
    def if_else(self, condition: Value) -> Iterator["Branches"]:
        """Opens two branches: `with f.if_else(c) as branch: with branch.then: ...; with branch.otherwise: ...`."""
        then, otherwise, after = self._label("then"), self._label("else"), self._label("after")
        self.emit_void(f"br {condition}, label %{then}, label %{otherwise}")
        yield Branches(self, then, otherwise, after)
        self._open(after)

    def return_(self, value: Number | None = None) -> None:
        """Ends the function; must be the last thing that is built."""
        self.emit_void("ret void" if value is None or self.result is None else f"ret {self.lift(value, self.result)}")

    def branch(self, label: str, after: str) -> "_Branch":
        return _Branch(self, label, after)

    def _label(self, purpose: str) -> str:
        self._count += 1
        return f"{purpose}{self._count}"

    def _open(self, label: str) -> None:
        self._lines.append(f"{label}:")

    def _jump(self, label: str) -> None:
        self.emit_void(f"br label %{label}")

    def _pair(self, a: Number, b: Number) -> tuple[Value, Value]:
        """Gives two operands one type."""
        if isinstance(a, Value) and (not isinstance(b, Value) or a.type.lanes >= b.type.lanes):
            return a, self.lift(b, a.type)
        if isinstance(b, Value):
            return self.lift(a, b.type), b
        raise TypeError("an operation needs at least one value")

    def __str__(self) -> str:
        parameters = ", ".join(map(str, self.parameters))
        linkage = "" if self.name in self.module.exported else "internal "
        head = f"define {linkage}{self.result or 'void'} @{self.name}({parameters}) #0 {{"
        return "\n".join([head, "entry:", *self._locals, *self._lines, "}"])


class Branches:
    """The two sides of `if_else`."""

    def __init__(self, function: Function, then: str, otherwise: str, after: str) -> None:
        self.then, self.otherwise = function.branch(then, after), function.branch(otherwise, after)


class _Branch:
    def __init__(self, function: Function, label: str, after: str) -> None:
        self._function, self._label, self._after = function, label, after

    def __enter__(self) -> None:
        self._function._open(self._label)

    def __exit__(self, *exception: object) -> None:
        self._function._jump(self._after)
