"""What makes a method of `Backend` an op: the `@op` mark, from which every table of ops is checked for completeness."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

import attrs

__all__ = ["OpSpec", "op", "ops_of"]

Method = TypeVar("Method", bound=Callable[..., Any])


@attrs.frozen
class OpSpec:
    """One op. `writes` names the arguments that it changes in place, so that a recorder can order it; all other tensor
    arguments are only read. An abstract op has no default in terms of other ops."""

    name: str
    writes: tuple[str, ...] = ()
    abstract: bool = False


@overload
def op(method: Method) -> Method: ...
@overload
def op(*, writes: tuple[str, ...]) -> Callable[[Method], Method]: ...
def op(method: Any = None, *, writes: tuple[str, ...] = ()) -> Any:
    """Marks a method of `Backend` as an op. Overrides in backends need no mark."""

    def mark(function: Any) -> Any:
        function.__alpha_op__ = OpSpec(function.__name__, writes, getattr(function, "__isabstractmethod__", False))
        return function

    return mark if method is None else mark(method)


def ops_of(backend_class: type) -> dict[str, OpSpec]:
    """Returns the ops that a class declares or inherits, by name, in order of definition."""
    specs: dict[str, OpSpec] = {}
    for owner in reversed(backend_class.__mro__):
        for name, value in vars(owner).items():
            spec = getattr(value, "__alpha_op__", None)
            if spec is not None:
                specs.setdefault(name, spec)
    return specs
