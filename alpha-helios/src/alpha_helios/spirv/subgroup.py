"""Operations among the invocations of a subgroup."""

from typing import Literal

from alpha_helios.spirv.flow import Flow
from alpha_helios.spirv.types import i1, i32, vector
from alpha_helios.spirv.value import Number, Value

__all__ = ["Subgroups"]

_REDUCE, _INCLUSIVE, _EXCLUSIVE = 0, 1, 2
_SUBGROUP = 3
_OPERATIONS = {
    "add": ("FAdd", "IAdd"),
    "mul": ("FMul", "IMul"),
    "max": ("FMax", "SMax"),
    "min": ("FMin", "SMin"),
    "and": ("", "BitwiseAnd"),
    "or": ("", "BitwiseOr"),
    "xor": ("", "BitwiseXor"),
}

Operation = Literal["add", "mul", "max", "min", "and", "or", "xor"]


class Subgroups(Flow):
    """Subgroup operations. Who runs the instruction takes part; vectors are taken lane by lane."""

    def subgroup_reduce(self, operation: Operation, x: Value) -> Value:
        """Combines x of all invocations, in an order that the device chooses; everyone gets the result."""
        return self._arithmetic("subgroup_reduce", operation, x, _REDUCE)

    def subgroup_inclusive(self, operation: Operation, x: Value) -> Value:
        """Combines x of the invocations up to this one."""
        return self._arithmetic("subgroup_inclusive", operation, x, _INCLUSIVE)

    def subgroup_exclusive(self, operation: Operation, x: Value) -> Value:
        """Combines x of the invocations before this one; the operation's neutral element if there is none."""
        return self._arithmetic("subgroup_exclusive", operation, x, _EXCLUSIVE)

    def subgroup_add(self, x: Value) -> Value:
        return self.subgroup_reduce("add", x)

    def subgroup_max(self, x: Value) -> Value:
        return self.subgroup_reduce("max", x)

    def subgroup_min(self, x: Value) -> Value:
        return self.subgroup_reduce("min", x)

    def subgroup_broadcast(self, x: Value, lane: Number) -> Value:
        """x of one invocation; `lane` is a constant or the same for all."""
        if isinstance(lane, Value) and lane.scope is not None:
            return self._among("Shuffle", "GroupNonUniformShuffle", x, lane)
        return self._among("Broadcast", "GroupNonUniformBallot", x, lane)

    def subgroup_broadcast_first(self, x: Value) -> Value:
        """x of the first invocation that takes part."""
        return self._among("BroadcastFirst", "GroupNonUniformBallot", x)

    def subgroup_shuffle(self, x: Value, lane: Number) -> Value:
        """x of the invocation `lane`, which each may choose for itself."""
        return self._among("Shuffle", "GroupNonUniformShuffle", x, lane)

    def subgroup_shuffle_xor(self, x: Value, mask: Number) -> Value:
        """x of the invocation whose lane differs in the bits of `mask`."""
        return self._among("ShuffleXor", "GroupNonUniformShuffle", x, mask)

    def subgroup_shuffle_up(self, x: Value, delta: Number) -> Value:
        """x of the invocation `delta` lanes before this one."""
        return self._among("ShuffleUp", "GroupNonUniformShuffleRelative", x, delta)

    def subgroup_shuffle_down(self, x: Value, delta: Number) -> Value:
        """x of the invocation `delta` lanes after this one."""
        return self._among("ShuffleDown", "GroupNonUniformShuffleRelative", x, delta)

    def subgroup_elect(self) -> Value:
        """True for one of the invocations that take part, the first."""
        self.module.capability("GroupNonUniform")
        return self.emit(i1, "GroupNonUniformElect", self.constant(i32, _SUBGROUP))

    def subgroup_all(self, condition: Value) -> Value:
        """True if it is for all."""
        return self._vote("All", condition)

    def subgroup_any(self, condition: Value) -> Value:
        """True if it is for someone."""
        return self._vote("Any", condition)

    def subgroup_ballot(self, condition: Value) -> Value:
        """A bit for each invocation, as i32x4."""
        self.need("subgroup_ballot", condition, "a truth value", condition.type == i1)
        self._use("GroupNonUniformBallot")
        return self.emit(vector(i32, 4), "GroupNonUniformBallot", self.constant(i32, _SUBGROUP), condition)

    def ballot_count(self, ballot: Value, *, before: bool = False) -> Value:
        """How many bits of a ballot are set; `before` counts those of lanes before this one."""
        self.need("ballot_count", ballot, "a ballot (i32x4)", ballot.type == vector(i32, 4))
        self._use("GroupNonUniformBallot")
        which = _EXCLUSIVE if before else _REDUCE
        return self.emit(i32, "GroupNonUniformBallotBitCount", self.constant(i32, _SUBGROUP), which, ballot)

    def _arithmetic(self, name: str, operation: Operation, x: Value, kind: int) -> Value:
        of_float, of_integer = _OPERATIONS[operation]
        opcode = of_float if x.type.is_float else of_integer
        self.need(f"{name} {operation}", x, "a number", not x.type.is_bool and bool(opcode) and x.type.kind != "bf")
        self._use("GroupNonUniformArithmetic", x)
        return self.emit(x.type, f"GroupNonUniform{opcode}", self.constant(i32, _SUBGROUP), kind, x)

    def _among(self, name: str, capability: str, x: Value, *operands: Number) -> Value:
        self._use(capability, x)
        lifted = (self.lift(operand, i32) for operand in operands)
        return self.emit(x.type, f"GroupNonUniform{name}", self.constant(i32, _SUBGROUP), x, *lifted)

    def _vote(self, name: str, condition: Value) -> Value:
        self.need(f"subgroup_{name.lower()}", condition, "a truth value", condition.type == i1)
        self._use("GroupNonUniformVote")
        return self.emit(i1, f"GroupNonUniform{name}", self.constant(i32, _SUBGROUP), condition)

    def _use(self, capability: str, x: Value | None = None) -> None:
        self.module.capability("GroupNonUniform")
        self.module.capability(capability)
        if x is not None and (x.type.bits in (8, 16) or (x.type.scalar.bits == 64 and x.type.kind == "i")):
            self.module.requirements.add("shaderSubgroupExtendedTypes")
