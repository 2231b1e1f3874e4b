"""Grids of workgroups that keep within the limits of every device, and their index in a kernel."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alpha_helios.spirv.kernel import Kernel
    from alpha_helios.spirv.value import Value

__all__ = ["grid", "linear_group"]

_MOST_ON_AN_AXIS = 65535  # what every device of Vulkan allows


def grid(count: int) -> tuple[int, int, int]:
    """Returns a grid of at least `count` workgroups.

    >>> grid(7), grid(70_000)
    ((7, 1, 1), (35000, 2, 1))
    """
    rows = max(1, -(-count // _MOST_ON_AN_AXIS))
    if rows > _MOST_ON_AN_AXIS:
        raise ValueError(f"{count} workgroups are more than a grid holds")
    return max(1, -(-count // rows)), rows, 1


def linear_group(k: "Kernel") -> "Value":
    """Returns the index of the workgroup in a grid that `grid` made; it may lie beyond the count that was asked for."""
    return k.group(0) + k.group(1) * k.groups(0)
