"""Devices that are imagined: what they tell about themselves, and a backend or a kernel on them."""

import attrs
import numpy as np
from tests.helios.machine.device import MachineDevice, program
from tests.helios.machine.machine import run_groups
from tests.helios.machine.memory import Buffers

from alpha_helios.arguments import ArgumentLayout
from alpha_helios.backend import Helios
from alpha_helios.coop import BY_ELEMENT
from alpha_helios.fast_paths import restricted
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.vulkan.device_info import CooperativeShape, DeviceInfo
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM

__all__ = ["IMAGINED", "imagined", "launch"]


def _shapes(m: int, n: int, k: int) -> tuple[CooperativeShape, ...]:
    return tuple(CooperativeShape(m, n, k, kind, kind, "f32", "f32", "subgroup", False) for kind in ("f16", "bf16"))


_BROUGHT = ("WorkgroupScope", "FlexibleDimensions", "TensorAddressing", "BlockLoads")
_KHR = restricted(
    attrs.evolve(NULL_GPU, features=NULL_GPU.features - {f"cooperativeMatrix{name}" for name in _BROUGHT}), ["coop2"]
)

IMAGINED: dict[str, DeviceInfo] = {
    "tensors": NULL_GPU,
    "waves of 32": attrs.evolve(_KHR, vendor_id=0x1002),
    "waves of 64": attrs.evolve(_KHR, vendor_id=0x1002, subgroup_size=64, subgroup_sizes=(32, 64)),
    "flat": attrs.evolve(
        _KHR, vendor_id=0x8086, subgroup_size=16, subgroup_sizes=(8, 32), cooperative_shapes=_shapes(8, 16, 16)
    ),
    "narrow": attrs.evolve(_KHR, cooperative_shapes=_shapes(16, 8, 16)),
}
"""`tensors`: as from NVIDIA, with NV_cooperative_matrix2; `waves`: as from AMD, with blocks that are turned; `flat`: as
from Intel, 8 x 16 x 16; `narrow`: 16 x 8 x 16. The other ones have products of 16 x 16 x 16."""
_FUNCTIONS = frozenset({BY_ELEMENT, "cooperativeMatrixReductions", "cooperativeMatrixConversions"})
_OTHERS = {
    "least": NULL_MINIMUM,
    "matrices": _KHR,
    **{
        f"{name}, functions": attrs.evolve(
            _KHR if name == "matrices" else IMAGINED[name], features=_KHR.features | _FUNCTIONS
        )
        for name in ("matrices", "waves of 64", "flat", "narrow")
    },
}
"""`least`: nothing that Vulkan 1.2 does not promise; `matrices`: as from NVIDIA, without NV_cooperative_matrix2;
`functions`: with functions of one component, reductions and conversions of it, but no matrices of workgroups."""


def imagined(name: str) -> Helios:
    """Opens a backend on such a device."""
    return Helios(MachineDevice({**IMAGINED, **_OTHERS}[name]))


def launch(
    kernel: Kernel, *arguments: "np.ndarray | float", groups: tuple[int, int, int] = (1, 1, 1), subgroup: int = 32
) -> None:
    """Runs a kernel on arrays, which are changed in place, and numbers, in the order of its arguments."""
    binary, buffers, places = kernel.finish(), Buffers(1 << 24), []
    values: list[int | float] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            address = buffers.reserve(argument.nbytes)
            buffers.open(address, argument.nbytes)
            places.append((argument, buffers.at(address, argument.nbytes)))
            values.append(address)
        else:
            values.append(argument)
    layout = ArgumentLayout("test", binary.arguments, binary.argument_bytes, binary.in_memory)
    push = layout.pack(values)
    if binary.in_memory:
        address = buffers.reserve(len(push))
        buffers.open(address, len(push))
        buffers.at(address, len(push))[:] = np.frombuffer(push, np.uint8)
        push = address.to_bytes(8, "little")
    for array, place in places:
        place[:] = array.reshape(-1).view(np.uint8)
    run_groups(program(binary.code), buffers, groups, push, binary.subgroup_size or subgroup)
    for array, place in places:
        array.reshape(-1).view(np.uint8)[:] = place
