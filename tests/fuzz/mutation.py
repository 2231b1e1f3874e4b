"""Damaged files: hypothesis draws recipes of a few bytes, and each case must be read or refused in a line."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from alpha_core.errors import AlphaError

__all__ = ["CASES", "fuzz", "mutated"]

CASES = 10_000
ROUNDS = int(os.environ.get("ALPHA_FUZZ_ROUNDS", "1"))
"""Each of `CASES` cases; the first is the same in every run, the others are drawn anew."""

_STEP = 5  # bytes of a recipe for one change
_RECIPE = 1 + 4 * _STEP
_TOGETHER = 16
"""Recipes of one example: hypothesis takes longer to draw an example than most parsers to read it."""
_MOST_SECONDS = 4.0  # of processor time for one case
_MOST_MEMORY = 256 << 20  # bytes more than before
_NUMBERS = (0, 1, 2, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62, 1 << 63, (1 << 64) - 1)
_TEXTS = (
    *(
        b"null",
        b"true",
        b"-1",
        b"0",
        b"1e999",
        b"NaN",
        b"9" * 400,
        b"1" + b"0" * 30,
        b"0.5",
        b'"',
        b"\\u0000",
        b"\\ud800",
    ),
    *(b"[" * 3000, b'{"a":' * 3000, b"[]", b"{}", b'""', b"\xff\xfe", b"\0", b"\n", b"=", b'"x": 1, ', b"[1, 2]"),
)


def mutated(valid: bytes, recipe: bytes) -> bytes:
    """Returns `valid` after the changes that a recipe says, `_STEP` bytes each."""
    data = bytearray(valid)
    for start in range(0, len(recipe), _STEP):
        kind, high, low, value, size = recipe[start : start + _STEP].ljust(_STEP, b"\0")
        place = (high << 8 | low) * max(1, len(data) // 65536 + 1) % (len(data) + 1)
        length = size % 16 + 1
        match kind % 9:
            case 0 if data:
                data[place % len(data)] ^= 1 << value % 8
            case 1 if data:
                data[place % len(data)] = value
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length * 4]
            case 4:
                number = _NUMBERS[value % len(_NUMBERS)]
                width = 8 if size % 2 else 4
                data[place : place + width] = (number & ((1 << 8 * width) - 1)).to_bytes(width, "little")
            case 5:
                del data[place:]
            case 6:
                data[place:place] = _TEXTS[value % len(_TEXTS)]
            case 7:
                data[place : place + length] = _TEXTS[value % len(_TEXTS)]
            case 8:
                _change_number(data, place, str(_NUMBERS[value % len(_NUMBERS)]).encode())
    return bytes(data)


def fuzz(parse: Callable[[bytes], Any], *valid: bytes, shrink: bool = True) -> None:
    """Parses `CASES` damaged files in each round, made from the valid ones, which must be read.

    Fails for anything but a result or an `AlphaError` of one line, for more than 4 seconds of processor time, and where
    256 MiB more than before do not suffice; then hypothesis looks for the simplest recipes, unless `shrink` is False.
    """
    for data in valid:
        parse(data)
    outcomes = {"read": 0, "refused": 0}

    def example(recipes: bytes) -> None:
        for start in range(0, len(recipes), _RECIPE):
            recipe = recipes[start : start + _RECIPE]
            try:
                case(recipe)
            except BaseException as error:
                error.add_note(f"after the changes of the recipe {recipe.hex()}")
                raise

    def case(recipe: bytes) -> None:
        changes = 1 + recipe[0] // 64
        data = mutated(valid[recipe[0] % 64 % len(valid)], recipe[1 : 1 + changes * _STEP])
        try:
            with _time_limit():
                parse(data)
        except AlphaError as error:
            outcomes["refused"] += 1
            assert error.message == "" or "\n" not in error.message.replace("\n  - ", "; "), error.message  # noqa: PT017
        else:
            outcomes["read"] += 1

    with _memory_limit():
        for round in range(ROUNDS):
            number = 0 if round == 0 else int.from_bytes(os.urandom(6), "little")
            _run(example, number, shrink)
    assert sum(outcomes.values()) >= CASES * ROUNDS, outcomes
    assert outcomes["refused"] > CASES // 20, outcomes


def _run(example: Callable[[bytes], None], number: int, shrink: bool) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    limits = settings(
        max_examples=CASES // _TOGETHER, database=None, deadline=None, suppress_health_check=checks, phases=phases
    )
    size = _TOGETHER * _RECIPE
    seed(number)(limits(given(st.binary(min_size=size, max_size=size))(example)))()


def _change_number(data: bytearray, place: int, digits: bytes) -> None:
    """Replaces the first decimal number after `place`."""
    start = next((i for i in range(place, len(data)) if 48 <= data[i] < 58), None)
    if start is not None:
        end = next((i for i in range(start, len(data)) if not 48 <= data[i] < 58), len(data))
        data[start:end] = digits


@contextmanager
def _time_limit() -> Any:
    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"more than {_MOST_SECONDS} s of processor time")

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


@contextmanager
def _memory_limit() -> Any:
    """Limits the address space where the system says how large it is."""
    if sys.platform != "linux":
        yield
        return
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + _MOST_MEMORY, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
