"""A test of values at the start: what a device computes, with each fast path by itself, beside numpy in float64.

It runs once for each device, driver and version of the kernels, and is remembered beside the tuning. A fast path that
computes wrong numbers is off from then on, and every start says so; if the rest does, the backend does not open.
"""

import os
import warnings
from typing import TYPE_CHECKING, Any

from alpha_core.errors import BackendError
from alpha_helios.checks import BASE, CHECKS
from alpha_helios.compiler import source_digest
from alpha_helios.vulkan.errors import DeviceLostError, DeviceTimeoutError

if TYPE_CHECKING:
    from alpha_helios.backend import Helios

__all__ = ["ensure_values", "remembered", "tuning_key"]


def ensure_values(backend: "Helios") -> None:
    """Tests what was not tested before on this device; switches off and announces the fast paths that are wrong.

    Raises `BackendError` if numbers are wrong without any fast path, or with one if `ALPHA_FAIL_ON_SMOKE_TEST` is set.
    """
    paths, device = backend.paths, backend.device
    key = tuning_key()
    known = {} if _flag("ALPHA_HELIOS_SELFTEST") else remembered(device.tuning.read(key))
    for path in dict.fromkeys(check.path for check in CHECKS):
        if path in paths.off:
            continue
        if path not in known:
            try:
                known[path] = _wrong(backend, path)
            except (DeviceLostError, DeviceTimeoutError) as error:
                if path != BASE:  # the next start does without it
                    device.tuning.write(key, {**known, path: error.message})
                raise BackendError(f"the self-test of `{path}` ended: {error.message}", hint=_without(path)) from error
            device.tuning.write(key, known)
        reason = known[path]
        if reason is not None and path == BASE:
            raise BackendError(
                f"`{device.info.name}` ({device.info.driver}) computes wrong numbers: {reason}",
                hint="another driver may do better; `ALPHA_HELIOS_SELFTEST=1` tests anew",
            )
        if reason is not None:
            message = f"fast path `{path}` is off: `{device.info.name}` computes wrong numbers with it: {reason}"
            if _flag("ALPHA_FAIL_ON_SMOKE_TEST"):
                raise BackendError(message, hint=_without(path))
            paths.switch_off(path, reason)
            warnings.warn(f"{message} (`ALPHA_HELIOS_DISABLE={path}` silences this)", stacklevel=2)


def remembered(record: dict[str, Any] | None) -> dict[str, str | None]:
    """Returns what a record of the tuning cache says was wrong with each path that was tested, None for nothing."""
    return {path: reason for path, reason in (record or {}).items() if reason is None or isinstance(reason, str)}


def _wrong(backend: "Helios", path: str) -> str | None:
    """Returns what is wrong with a path, or None."""
    with backend.paths.only(*([] if path == BASE else [path])):
        found = (check.wrong(backend) for check in CHECKS if check.path == path)
        reason = next((text for text in found if text is not None), None)
        backend.queue.flush()
        return reason


def tuning_key() -> str:
    """Returns what results are remembered by, beside device and driver."""
    checks = ", ".join(f"{check.path} {check.name}" for check in CHECKS)
    return f"self-test {source_digest()} of {checks}"


def _without(path: str) -> str | None:
    return None if path == BASE else f"`ALPHA_HELIOS_DISABLE={path}` does without it"


def _flag(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")
