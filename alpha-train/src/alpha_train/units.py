"""Numbers as people read them."""

from itertools import pairwise

__all__ = ["bytes_text", "count_text", "duration_text", "flops_text"]


def count_text(number: float) -> str:
    """Returns a count in three or four digits.

    >>> count_text(950), count_text(124_439_808), count_text(8.75e11)
    ('950', '124M', '875G')
    """
    return _scaled(number, ("", "k", "M", "G", "T", "P", "E"), 1000)


def flops_text(operations: float) -> str:
    """Returns a number of floating-point operations.

    >>> flops_text(8.75e11)
    '875 GFLOP'
    """
    return _scaled(operations, (" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP", " EFLOP", " ZFLOP"), 1000)


def bytes_text(size: float) -> str:
    """Returns a number of bytes.

    >>> bytes_text(512), bytes_text(1_572_864)
    ('512 B', '1.5 MiB')
    """
    return _scaled(size, (" B", " KiB", " MiB", " GiB", " TiB", " PiB"), 1024)


def duration_text(seconds: float) -> str:
    """Returns a time in its two largest units.

    >>> duration_text(42), duration_text(150), duration_text(90_000)
    ('42 s', '2 min 30 s', '1 d 1 h')
    """
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (smaller, part) in pairwise(units):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def _scaled(number: float, units: tuple[str, ...], step: int) -> str:
    *smaller, largest = units
    for unit in smaller:
        if abs(number) < step - 0.5:
            return _digits(number) + unit
        number /= step
    return _digits(number) + largest


def _digits(number: float) -> str:
    if number == int(number) or abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.3g}"
