"""The fast paths of `helios`: what devices can do beyond the least, each with a name by which it is switched off.

A path that rests on features of Vulkan is off where kernels do not see these features: whoever picks a kernel looks at
`DeviceInfo` and at nothing else. A new path is a row of `FAST_PATHS` and one of `alpha_helios.selftest.CHECKS`.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import attrs

from alpha_core.errors import BackendError
from alpha_core.suggest import did_you_mean
from alpha_helios import attention, coop, coop2
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["FAST_PATHS", "Extra", "FastPath", "Paths", "disabled", "restricted"]

_VARIABLE = "ALPHA_HELIOS_DISABLE"


def _missing(features: Iterable[str], info: DeviceInfo) -> str | None:
    names = [name for name in features if name not in info.features]
    return f"the device lacks `{'`, `'.join(names)}`" if names else None


def _nothing(_info: DeviceInfo) -> str | None:
    return None


@attrs.frozen
class Extra:
    """What a path does beside the rest, where a device has more than the path needs."""

    summary: str
    features: tuple[str, ...]

    def described(self, info: DeviceInfo) -> str:
        """Says what a device makes of it."""
        missing = _missing(self.features, info)
        return f"not here: {self.summary}, for which {missing}" if missing else self.summary


@attrs.frozen
class FastPath:
    """One way to be faster, or to hold more, on a device that allows it."""

    name: str
    summary: str
    features: tuple[str, ...] = ()
    """It needs all of them, and no kernel uses the first one where it is off."""
    builds_on: tuple[str, ...] = ()
    """Other paths without which it is off."""
    more: Callable[[DeviceInfo], str | None] = _nothing
    """Why a device that has the features cannot take it, or None."""
    extras: tuple[Extra, ...] = ()

    def lacking(self, info: DeviceInfo) -> str | None:
        """Returns why a device cannot take it, or None."""
        return _missing(self.features, info) or self.more(info)

    def described(self, info: DeviceInfo) -> str:
        """Says what a device that takes it does by it, and what of it that device cannot do."""
        return "; ".join([self.summary, *(extra.described(info) for extra in self.extras)])


FAST_PATHS = (
    FastPath(
        "subgroups",
        "rows are combined within subgroups of a known size, by shuffles",
        ("subgroupSizeControl", "subgroupShuffle", "subgroupArithmetic"),
    ),
    FastPath(
        "16bit",
        "tensors are stored in f16 and bf16, for `--precision`",
        ("storageBuffer16BitAccess", "shaderInt16"),
    ),
    FastPath("8bit", "weights are stored in 8 bits, for sampling", ("storageBuffer8BitAccess", "shaderInt8")),
    FastPath(
        "coop",
        "products of f16 and bf16 are computed by cooperative matrices",
        coop.FEATURES,
        builds_on=("subgroups", "16bit"),
        more=coop.lacking_fragments,
    ),
    FastPath(
        "coop2",
        "sums of products are finished where they are",
        (coop.BY_ELEMENT,),
        builds_on=("coop",),
        extras=(
            Extra("scores of attention stay in matrices", tuple(sorted(attention.IN_PLACE_FEATURES))),
            Extra("the device brings what workgroups multiply", coop2.TENSOR_FEATURES),
        ),
    ),
    FastPath("transfers", "large transfers have a queue of their own, beside kernels"),
    FastPath("mapped", "memory that host and device share is written in place"),
)


def disabled() -> frozenset[str]:
    """Returns the names in `ALPHA_HELIOS_DISABLE`. Raises `BackendError` for one that is no fast path."""
    names = [path.name for path in FAST_PATHS]
    given = [name.strip() for name in os.environ.get(_VARIABLE, "").split(",")]
    for name in filter(None, given):
        if name not in names:
            there = ", ".join(f"`{known}`" for known in names)
            raise BackendError(
                f"`{_VARIABLE}` names `{name}`, which is no fast path; there are {there}",
                hint=did_you_mean(name, names),
            )
    return frozenset(filter(None, given))


def restricted(info: DeviceInfo, off: Iterable[str]) -> DeviceInfo:
    """Returns what kernels see of a device on which some paths are off."""
    names = frozenset(off)
    hidden = {path.features[0] for path in FAST_PATHS if path.name in names and path.features}
    features = info.features - hidden
    return attrs.evolve(
        info,
        features=features,
        cooperative_shapes=info.cooperative_shapes if "cooperativeMatrix" in features else (),
        flexible_shapes=info.flexible_shapes if "cooperativeMatrixFlexibleDimensions" in features else (),
    )


class Paths:
    """Which fast paths a device takes, and why not the others."""

    def __init__(self, device: Device) -> None:
        """Switches off what the device cannot do and what `ALPHA_HELIOS_DISABLE` names."""
        self._device, self._whole = device, device.info
        self.off: dict[str, str] = {}
        """The reason, by the name of the path."""
        unwanted = disabled()
        for path in FAST_PATHS:
            reason = path.lacking(self._whole) or self._lacking(path.name)
            if path.name in self.off:
                continue  # something that it builds on is off
            if path.name in unwanted:
                self.switch_off(path.name, f"`{_VARIABLE}` names it")
            elif reason is not None:
                self.switch_off(path.name, reason)

    def _lacking(self, name: str) -> str | None:
        """Returns why the open device cannot take a path that rests on no feature, or None."""
        if name == "transfers" and not self._device.has_transfer_queue:
            return "the device has no queue for transfers alone"
        if name == "mapped" and not self._device.maps_memory:
            return "the processor does not reach the memory of tensors"
        return None

    @property
    def on(self) -> list[str]:
        """The names of those that are taken."""
        return [path.name for path in FAST_PATHS if path.name not in self.off]

    def switch_off(self, name: str, reason: str) -> None:
        """Does without a path, and without those that build on it, from now on."""
        self.off[name] = reason
        for path in FAST_PATHS:
            if name in path.builds_on and path.name not in self.off:
                self.switch_off(path.name, f"it builds on `{name}`, which is off")
        self._device.info = restricted(self._whole, self.off)
        if name == "transfers":
            self._device.drop_transfer_queue()
        elif name == "mapped" and self._device.maps_memory:
            self._device.drop_mapping()

    @contextmanager
    def only(self, *names: str) -> Iterator[None]:
        """Does without the features of all paths but these and what they build on, for a while."""
        kept = set(names)
        for path in reversed(FAST_PATHS):  # a path stands after those that it builds on
            kept.update(path.builds_on if path.name in kept else ())
        others = [path.name for path in FAST_PATHS if path.name not in kept]
        self._device.info = restricted(self._whole, {*self.off, *others})
        try:
            yield
        finally:
            self._device.info = restricted(self._whole, self.off)
