"""GPT-2's table of visible characters for the 256 bytes, so that byte tokens can stand in JSON and in `merges.txt`."""

__all__ = ["BYTE_SYMBOLS", "bytes_of", "symbols_of"]

# Bytes that are printable in Latin-1 (space is not) stand for themselves; the others, in order, are U+0100 and on.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTES = {chr(b): b for b in _PRINTABLE} | {chr(0x100 + i): b for i, b in enumerate(_OTHERS)}

BYTE_SYMBOLS: tuple[str, ...] = tuple(sorted(_BYTES, key=_BYTES.__getitem__))
"""The character of each byte: `BYTE_SYMBOLS[0x20]` is `Ġ`."""


def symbols_of(data: bytes) -> str:
    """Returns the visible characters that stand for `data`."""
    return "".join([BYTE_SYMBOLS[byte] for byte in data])


def bytes_of(symbols: str) -> bytes:
    """Returns the bytes that `symbols` stands for. Raises `KeyError` for a character that is not in the table."""
    return bytes([_BYTES[symbol] for symbol in symbols])
