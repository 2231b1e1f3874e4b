"""Structured control flow: branches and loops as context managers, so that blocks nest as in Python."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alpha_helios.spirv.builder import Scope
from alpha_helios.spirv.memory import Memory
from alpha_helios.spirv.types import Type, i1, i32, i64
from alpha_helios.spirv.value import Number, Value

__all__ = ["Branch", "Flow"]

_DEFAULT, _UNROLL, _DONT_UNROLL = 0, 1, 2


class Flow(Memory):
    """Branches and loops."""

    @contextmanager
    def if_(self, condition: Value) -> Iterator["Branch"]:
        """Runs the body where `condition` is true. The other side follows at once:

        with k.if_(x > 0) as branch:
            ...
        with branch.else_():
            ...
        """
        self.check(condition)
        self.need("if_", condition, "a truth value", condition.type == i1)
        then, after = self.module.new_id(), self.module.new_id()
        self.emit_void("SelectionMerge", after, 0)
        jump = self.emit_void("BranchConditional", condition, then, after)
        self._open(then)
        branch = Branch(self, jump, after)
        with self._scope("`if_`"):
            yield branch
        branch.meets = not self._code.ended
        if branch.meets:
            self.emit_void("Branch", after)
        self._open(after)
        branch.end = len(self._code.body)

    @contextmanager
    def range_(self, start: Number, stop: Number, step: Number = 1, *, unroll: bool | None = None) -> Iterator[Value]:
        """Runs the body for start, start + step, ... below stop; with a plain negative step, above stop.

        The index is i64 if one of the bounds is, else i32. `unroll` is a wish; with None the driver chooses.
        """
        bounds = (start, stop, step)
        type_ = i64 if any(isinstance(bound, Value) and bound.type == i64 for bound in bounds) else i32
        first, limit, stride = (self._bound(bound, type_) for bound in bounds)
        down = not isinstance(step, Value) and step < 0
        if not isinstance(step, Value) and step == 0:
            raise ValueError("`range_` with step 0 never ends")
        index = self.variable(first)

        def proceed() -> Value:
            return index.value > limit if down else index.value < limit

        def advance() -> None:
            index.value = index.value + stride

        with self._loop("`range_`", proceed, advance, unroll):
            yield index.value

    @contextmanager
    def while_(self, condition: Callable[[], Value], *, unroll: bool | None = None) -> Iterator[None]:
        """Runs the body as long as `condition()`, which is built before it, gives true."""
        with self._loop("`while_`", condition, lambda: None, unroll):
            yield

    def break_(self) -> None:
        """Leaves the innermost loop; the last thing in its block."""
        self._end("`break_`", "Branch", self._loop_around("break_").exit)

    def continue_(self) -> None:
        """Goes on with the next turn of the innermost loop; the last thing in its block."""
        self._end("`continue_`", "Branch", self._loop_around("continue_").next)

    def return_(self) -> None:
        """Ends the kernel for this invocation; the last thing in its block."""
        if self._code is not self._main:
            raise ValueError("`return_` inside a function of one element, which returns its value")
        self._end("`return_`", "Return")

    @contextmanager
    def _loop(
        self, name: str, condition: Callable[[], Value], advance: Callable[[], None], unroll: bool | None
    ) -> Iterator[None]:
        head, test, body, following, after = (self.module.new_id() for _ in range(5))
        control = _DEFAULT if unroll is None else _UNROLL if unroll else _DONT_UNROLL
        self.emit_void("Branch", head)
        self._open(head)
        self.emit_void("LoopMerge", after, following, control)
        self.emit_void("Branch", test)
        self._open(test)
        with self._scope(name) as scope:
            scope.exit, scope.next = after, following
            proceed = condition()
            if not isinstance(proceed, Value) or proceed.type != i1:
                raise TypeError(f"the condition of {name} must be a truth value, not {proceed!r}")
            self.emit_void("BranchConditional", proceed, body, after)
            self._open(body)
            yield
            if not self._code.ended:
                self.emit_void("Branch", following)
            self._open(following)
            advance()
            self.emit_void("Branch", head)
        self._open(after)

    def _loop_around(self, name: str) -> Scope:
        for scope in reversed(self._code.scopes):
            if scope.exit:
                return scope
        raise ValueError(f"`{name}` outside of a loop")

    def _bound(self, bound: Number, type_: Type) -> Value:
        if isinstance(bound, Value):
            self.need("range_", bound, "i32 or i64", bound.type in (i32, i64))
            return self.convert(bound, type_)
        return self.constant(type_, bound)


class Branch:
    """An `if_` that has been built, for its other side."""

    def __init__(self, flow: Flow, jump: list[int], after: int) -> None:
        self._flow, self._jump, self._after = flow, jump, after
        self.end = -1
        self.meets = False

    @contextmanager
    def else_(self) -> Iterator[None]:
        """Runs the body where the condition of the `if_` just before is false."""
        flow, code = self._flow, self._flow._code
        if self.end != len(code.body):
            raise ValueError("`else_` must follow its `if_` at once, with nothing between them")
        code.body.pop()
        self._jump[3] = otherwise = flow.module.new_id()
        flow._open(otherwise)
        with flow._scope("`else_`"):
            yield
        meets = not code.ended
        if meets:
            flow.emit_void("Branch", self._after)
        flow._open(self._after)
        self.end = -1
        if not meets and not self.meets:
            flow._end("branches that both end", "Unreachable")
