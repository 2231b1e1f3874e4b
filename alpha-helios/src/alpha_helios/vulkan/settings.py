"""The environment variables of the runtime that are numbers."""

import os

from alpha_core.errors import BackendError

__all__ = ["memory_limit", "small_ops_limit", "wait_limit"]

_DEFAULT_TIMEOUT = 60.0  # seconds; a step takes less than one


def memory_limit() -> int | None:
    """Returns `ALPHA_HELIOS_MEMORY_BYTES`, the most that one device may hold, or None."""
    number = _positive("ALPHA_HELIOS_MEMORY_BYTES", "a number of bytes")
    return None if number is None else int(number)


def small_ops_limit() -> int:
    """Returns `ALPHA_HELIOS_SMALL_OPS`, the elements up to which ops run on the processor, or 0."""
    number = _positive("ALPHA_HELIOS_SMALL_OPS", "a number of elements")
    return 0 if number is None else int(number)


def wait_limit() -> float:
    """Returns `ALPHA_HELIOS_TIMEOUT_S`, the seconds that the device may take for what it was given."""
    number = _positive("ALPHA_HELIOS_TIMEOUT_S", "a number of seconds")
    return _DEFAULT_TIMEOUT if number is None else number


def _positive(variable: str, expected: str) -> float | None:
    text = os.environ.get(variable, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise BackendError(f"`{variable}` is `{text}`; {expected} above 0 is needed")
    return number
