"""Where a run computes, as far as those who watch it want to know."""

import os
import platform
from typing import Any

__all__ = ["infrastructure"]


def infrastructure() -> dict[str, Any]:
    """Returns `hostname`, `cpu_count`, `ram_total_mb` (None where the system does not say) and `os_platform`."""
    return {
        "hostname": platform.node(),
        "cpu_count": os.cpu_count(),
        "ram_total_mb": _memory_mb(),
        "os_platform": platform.platform(),
    }


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (AttributeError, ValueError, OSError):  # not every system has these names
        return None
