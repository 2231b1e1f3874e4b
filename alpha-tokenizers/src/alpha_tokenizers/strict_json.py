"""JSON of other toolkits, read so that damage is not mistaken for content."""

import json
from typing import Any

from alpha_core.errors import TokenizerError
from alpha_tokenizers.quote import quote

__all__ = ["parse_json"]


def parse_json(data: bytes) -> Any:
    """Returns a JSON value. Raises `TokenizerError` if `data` is not JSON, or if an object has a key twice."""
    try:
        return json.loads(data, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"it is not JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise TokenizerError(f"an object in it has the key {quote(key)} twice")
        made[key] = value
    return made
