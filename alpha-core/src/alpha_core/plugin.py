"""What this package registers with Alpha: the default choice of a backend."""

from collections.abc import Sequence

from alpha_core.descriptors import BackendInfo
from alpha_core.hookspecs import hookimpl


@hookimpl(trylast=True)
def choose_backend(available: Sequence[BackendInfo]) -> str | None:
    """Takes the highest priority that is not unsuited; among equals, the one that was registered first."""
    best_first = sorted(available, key=lambda info: -info.priority)
    return next((info.name for info in best_first if info.unsuited() is None), None)
