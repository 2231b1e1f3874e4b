"""A module: functions, declarations and the attributes that they share."""

import platform
from collections.abc import Sequence

from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import Type

__all__ = ["Module"]


class Module:
    """Collects functions and prints LLVM IR."""

    def __init__(self, vector_bits: int = 512) -> None:
        self.exported: set[str] = set()
        self.architecture = {"x86_64": "x86", "AMD64": "x86", "aarch64": "arm", "arm64": "arm"}.get(platform.machine())
        self.monotonic_clock = 6 if platform.system() == "Darwin" else 1
        self._vector_bits = vector_bits
        self._functions: list[Function] = []
        self._declarations: dict[str, None] = {}

    def function(
        self, name: str, result: Type | None, parameters: Sequence[Type], *, exported: bool = False
    ) -> Function:
        """Begins a function; build it, and end it with `return_`."""
        function = Function(self, name, result, parameters)
        self.adopt(function, exported=exported)
        return function

    def adopt(self, function: Function, *, exported: bool = True) -> None:
        """Takes in a function that was made elsewhere."""
        if exported:
            self.exported.add(function.name)
        self._functions.append(function)

    def declare(self, declaration: str) -> None:
        """Declares an intrinsic or a function of the C library, once."""
        self._declarations[declaration] = None

    def __str__(self) -> str:
        # Without `no-builtins` LLVM would turn loops into calls of memset and memcpy, which cost more than short loops.
        width = f'"min-legal-vector-width"="{self._vector_bits}" "prefer-vector-width"="{self._vector_bits}"'
        attributes = f'attributes #0 = {{ nounwind "no-builtins" {width} }}'
        return "\n\n".join([*map(str, self._functions), "\n".join(self._declarations), attributes, ""])
