"""How much memory this process has taken."""

import resource
import sys

__all__ = ["peak_bytes"]


def peak_bytes() -> int:
    """Returns the most memory that this process ever had resident, in bytes.

    Linux counts it as `VmHWM` from the start of the program. `ru_maxrss`, which other systems have, would there also
    count what the parent had when it started this process.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # no Linux
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
