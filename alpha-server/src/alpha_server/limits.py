"""How much one request may bring."""

import attrs

__all__ = ["Limits"]


@attrs.frozen(kw_only=True)
class Limits:
    """Sizes in bytes, and times in seconds."""

    body: int = 4 << 20
    """Of messages, as they come over the wire."""
    unpacked: int = 8 << 20
    """Of messages, unpacked: what a few bytes of gzip can become."""
    chunk: int = 16 << 20
    file: int = 1 << 40
    body_seconds: float = 60.0
    """How long a body may take to arrive."""
