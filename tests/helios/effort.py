"""How much the tests of kernels draw: a sample, the same in every run, or more of it with `ALPHA_HELIOS_CASES=2000`.

Most kernels that are drawn are compiled anew, which takes a software device a second each.
"""

import os

from hypothesis import HealthCheck, settings

__all__ = ["CASES", "THOROUGH", "examples"]

_USUAL = 120
CASES = int(os.environ.get("ALPHA_HELIOS_CASES", _USUAL))
"""So many cases are drawn of all ops together."""
THOROUGH = CASES > _USUAL
"""Whether every combination is run, and not some of them."""


def examples(usual: int) -> settings:
    """The settings of a test that draws kernels: `usual` examples in an ordinary run."""
    checks = [HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=max(usual * CASES // _USUAL, 1), derandomize=True, deadline=None, suppress_health_check=checks
    )
