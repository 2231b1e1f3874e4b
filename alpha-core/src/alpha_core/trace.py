"""Spans: what took how long, on which track, and how much it computed and moved."""

import attrs

__all__ = ["Span"]


@attrs.frozen
class Span:
    """One piece of work between two moments of `time.perf_counter`."""

    name: str
    """What was done: a phase of training, or a kernel."""
    track: str
    """Who did it, such as `thread 0`. Spans of one track lie within or after each other."""
    start: float
    """Seconds of `time.perf_counter`."""
    duration: float
    """Seconds."""
    flops: int = 0
    """Floating-point operations; 0 where nobody counted."""
    bytes: int = 0
    """Bytes read and written at least once; 0 where nobody counted."""
