"""What this package registers with Alpha: the default choice of a backend."""

from collections.abc import Sequence

from alpha_core.descriptors import BackendInfo
from alpha_core.hookspecs import hookimpl


@hookimpl(trylast=True)
def choose_backend(available: Sequence[BackendInfo]) -> str | None:
    """Takes the highest priority; among equals, the one that was registered first."""
    if not available:
        return None
    return max(available, key=lambda info: info.priority).name
