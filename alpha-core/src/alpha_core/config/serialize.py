"""Configurations as plain dictionaries, for `config.json` and checkpoints, and the hash of one."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from alpha_core.config.run import RunConfig
from alpha_core.errors import ConfigError

__all__ = ["config_hash", "from_dict", "to_dict"]


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Returns `config` as JSON values; written to a file it is a config file that yields the same configuration."""
    return attrs.asdict(
        config, value_serializer=lambda _, __, value: list(value) if isinstance(value, tuple) else value
    )


def from_dict(content: Mapping[str, Any], *, source: str = "the stored configuration") -> RunConfig:
    """Returns the configuration that `to_dict` was given; settings that are absent take their defaults.

    Raises `ConfigError` with every problem. `source` is what messages call the origin of `content`.
    """
    from alpha_core.config.merge import Merge

    merge = Merge()
    domain = content.get("domain")
    if domain is not None and not isinstance(domain, str):
        merge.problems.append(f"`domain` ({source}): expected the name of a domain")
    merge.add_sections(content, source)
    try:
        return merge.finish(domain)
    except ConfigError as error:
        if merge.has_unknown_keys:
            error.hint = "it may have been written by a newer version of Alpha"
        raise


def config_hash(config: RunConfig) -> str:
    """Returns 16 hexadecimal digits that are equal for equal configurations: SHA-256 over canonical JSON."""
    canonical = json.dumps(to_dict(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
