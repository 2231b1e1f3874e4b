"""The index that Alpha puts beside the token shards that it writes, so that damage to one is noticed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from alpha_core.errors import DataError
from alpha_train.data.cache import canonical_hash
from alpha_train.data.shard_file import Shard
from alpha_train.json_file import read_json, write_json

__all__ = ["INDEX_FILE", "ShardIndex"]

INDEX_FILE = "shards.json"
_VERSION = 1


@attrs.frozen(kw_only=True)
class ShardIndex:
    """What the shards of a folder hold."""

    shards: Mapping[str, Mapping[str, int]]
    """For each file name `tokens`, their number, and `crc32`."""
    splits: Mapping[str, Mapping[str, int | None]]
    """For `train` and `validation` the size of their text: `textBytes` and `characters`, if they are known."""
    tokenizer: str
    """Hash of the artifacts of the tokenizer."""

    @classmethod
    def read(cls, path: Path) -> "ShardIndex":
        """Reads an index; raises `DataError` if it is damaged."""
        content = read_json(path, DataError)
        if content.pop("checksum", None) != canonical_hash(content):
            raise DataError(f"`{path}` is damaged: its checksum is wrong", hint="prepare the shards again")
        version = content.get("formatVersion")
        if version != _VERSION:
            raise DataError(f"`{path}` is of format version {version}, and only {_VERSION} can be read")
        shards: Any = content.get("shards")
        splits: Any = content.get("splits")
        if not (_counts(shards, ("tokens", "crc32")) and _counts(splits, ("textBytes", "characters"), unknown=True)):
            raise DataError(f"`{path}` is damaged: it does not tell how large its shards are")
        return cls(shards=shards, splits=splits, tokenizer=str(content.get("tokenizer")))

    def write(self, path: Path) -> None:
        """Writes the index; raises `DataError` if that fails."""
        content: dict[str, Any] = {"formatVersion": _VERSION, **attrs.asdict(self)}
        write_json(path, {**content, "checksum": canonical_hash(content)}, DataError)

    def check(self, path: Path, shard: Shard) -> None:
        """Raises `DataError` if a shard is not what the index says."""
        listed = self.shards[path.name]
        if (len(shard.tokens), shard.crc32) != (listed["tokens"], listed["crc32"]):
            raise DataError(
                f"`{path}` is damaged: it is not what `{INDEX_FILE}` lists", hint="prepare the shards again"
            )


def _counts(rows: object, keys: tuple[str, ...], *, unknown: bool = False) -> bool:
    """Tells whether `rows` is an object of objects that have these numbers, or null where they may be unknown."""
    if not isinstance(rows, dict):
        return False
    values = [row.get(key) if isinstance(row, dict) else "" for row in rows.values() for key in keys]
    return all(type(value) is int or (unknown and value is None) for value in values)
