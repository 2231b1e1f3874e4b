"""How records are delivered to a server."""

from collections.abc import Mapping

import attrs

from alpha_core.environment import environment_value, required_environment_value, required_token
from alpha_core.errors import ConfigError

__all__ = ["Settings"]


@attrs.frozen(kw_only=True)
class Settings:
    """Where the server is, and the rhythm of delivery."""

    url: str = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)
    upload: bool = True
    """Whether checkpoints are uploaded, with the configuration and the tokenizer."""
    batch: int = 10
    """Steps that are sent together; while the server is slower than training, more."""
    most: int = 500
    """Records in one request."""
    flush_seconds: float = 30.0
    """How long a step waits for others at most."""
    heartbeat_seconds: float = 60.0
    capacity: int = 5000
    """Records that are kept for a server that is away."""
    chunk_bytes: int = 1 << 22
    timeout: float = 10.0
    first_pause: float = 0.5
    """Seconds before the first new attempt; the pause doubles up to `longest_pause`."""
    longest_pause: float = 30.0
    patience: float = 5.0
    """How long a server may be away at the end of a run."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads `ALPHA_REMOTE_URL`, `ALPHA_REMOTE_SECRET` and `ALPHA_REMOTE_UPLOAD`. Raises `ConfigError`."""
        url = required_environment_value("ALPHA_REMOTE_URL", environ=environ)
        secret = required_token("ALPHA_REMOTE_SECRET", environ=environ)
        upload = environment_value("ALPHA_REMOTE_UPLOAD", environ=environ) or "true"
        if upload not in ("true", "false"):
            raise ConfigError("`ALPHA_REMOTE_UPLOAD` must be `true` or `false`")
        return cls(url=url, secret=secret, upload=upload == "true")
