"""What every kit shares: tests that come with their cases, strict expected failures, and no overriding."""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import pytest

from alpha_core.suggest import did_you_mean

__all__ = ["Conformance", "each", "seed_of"]

Test = TypeVar("Test", bound=Callable[..., None])
Cases = Callable[[Any], Mapping[str, Any]]

_CASES = "__alpha_cases__"


def each(cases: Cases) -> Callable[[Test], Test]:
    """Runs a kit test, which takes the argument `case`, once for each entry of `cases(kit class)`: id to case."""

    def mark(test: Test) -> Test:
        setattr(test, _CASES, cases)
        return test

    return mark


def seed_of(*names: str) -> Sequence[int]:
    """Returns a seed for numpy's generator that depends on these names alone, so that every run draws the same data."""
    return [zlib.crc32(name.encode()) for name in names]


class Conformance:
    """Base of all kits. A plugin's author subclasses one of them in a test file, and pytest collects the subclass.

    A kit test may not be overridden or removed: the class statement raises `TypeError`. What a part cannot do yet
    stands in `expected_failures`, by the name that pytest shows after the class (`test_forward[softmax-f32-odd]`), with
    the reason. A test that is listed there and passes fails, and a name that is no test of the kit raises `TypeError`.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {}
    __alpha_kit__: ClassVar[bool] = True

    def __init_subclass__(cls, *, kit: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if kit:
            cls.__alpha_kit__ = True
            return
        kits = [base for base in cls.__mro__ if "__alpha_kit__" in vars(base)]
        protected = {name for base in kits for name in vars(base) if _is_protected(name)}
        for name in sorted(protected):
            owner = next(base for base in cls.__mro__ if name in vars(base))
            if owner not in kits:
                raise TypeError(
                    f"`{owner.__name__}` overrides `{name}` of `{kits[0].__name__}`; a kit's tests stay as they are: "
                    f'give the reason instead, as `expected_failures = {{"{name}...": "reason"}}`'
                )
        known = cls.kit_tests()
        for name in cls.expected_failures:
            if name not in known:
                hint = did_you_mean(name, known)
                raise TypeError(
                    f"`{cls.__name__}.expected_failures` names `{name}`, which is no test of `{kits[0].__name__}`"
                    + (f"; {hint}" if hint else "")
                )

    @classmethod
    def kit_tests(cls) -> list[str]:
        """Returns the names of all tests of the kit, as pytest shows them."""
        names: list[str] = []
        for name, test in _tests(cls):
            cases = getattr(test, _CASES, None)
            names += [name] if cases is None else [f"{name}[{case}]" for case in cases(cls)]
        return names

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Spreads a test over its cases (pytest calls this)."""
        cases = getattr(metafunc.function, _CASES, None)
        if cases is not None:
            entries = cases(type(self))
            metafunc.parametrize("case", list(entries.values()), ids=list(entries))

    @pytest.fixture(autouse=True)
    def _expect_failure(self, request: pytest.FixtureRequest) -> None:
        reason = self.expected_failures.get(request.node.name)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def _tests(cls: type) -> Iterable[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if "__alpha_kit__" in vars(base):
            found.update((name, value) for name, value in vars(base).items() if name.startswith("test_"))
    return found.items()


def _is_protected(name: str) -> bool:
    return name.startswith("test_") or name in ("pytest_generate_tests", "_expect_failure")
