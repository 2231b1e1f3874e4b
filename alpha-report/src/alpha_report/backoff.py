"""How long to wait before the next attempt."""

__all__ = ["Backoff"]


class Backoff:
    """Doubles the wait with every failure in a row, up to a limit; a server may ask for more."""

    def __init__(self, first: float = 0.5, limit: float = 30.0) -> None:
        self._first, self._limit = first, limit
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def fail(self, asked: float | None = None) -> float:
        """Counts a failure, and returns the seconds to wait: at least those that the server `asked` for."""
        seconds = min(self._limit, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return max(seconds, asked or 0.0)

    def succeed(self) -> None:
        self._failures = 0
