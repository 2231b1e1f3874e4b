"""Values in error messages."""

import reprlib

__all__ = ["quote"]


def quote(value: object) -> str:
    """Returns any value in backticks: shortened, on one line, with escapes for what cannot be printed."""
    text = " ".join(reprlib.repr(value).split("\n"))
    return f"`{text[1:-1]}`" if isinstance(value, str) and value else f"`{text}`"
