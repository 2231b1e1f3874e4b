"""Requests that are refused, each with the status of HTTP that says why."""

from collections.abc import Mapping
from typing import Any

__all__ = ["RefusedError"]


class RefusedError(Exception):
    """A request that the server does not do: `status`, a sentence, and further fields of the answer."""

    def __init__(self, status: int, message: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.fields = {"error": message, **(fields or {})}
