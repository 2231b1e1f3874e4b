"""The Vulkan loader of this machine, opened when it is first used, or the reason why it cannot be.

Of the `vulkan` package only the cffi declarations are imported: its wrappers cost ten to fifty times more per call,
drop references of nested structs, and take a third of a second to import.
"""

import sys
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import attrs

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import STRUCTURE_TYPE

__all__ = ["Vulkan", "declarations", "reason_unavailable", "vulkan"]

_LIBRARIES = {"win32": ("vulkan-1.dll",), "darwin": ("libvulkan.dylib", "libvulkan.1.dylib", "libMoltenVK.dylib")}
_MODULE = "alpha_helios.vulkan._declarations_of_the_vulkan_package"


@attrs.frozen
class Vulkan:
    """The cffi declarations of Vulkan and the loader's functions."""

    ffi: Any
    lib: Any

    def new(self, struct: str, **fields: Any) -> Any:
        """Returns a new struct with its `sType` set.

        The caller keeps every pointer among `fields` alive for as long as the struct is used.
        """
        value = self.ffi.new(f"{struct} *")
        value.sType = STRUCTURE_TYPE[struct]
        for name, field in fields.items():
            setattr(value, name, field)
        return value

    def text(self, characters: Any) -> str:
        """Returns a string of C."""
        return str(self.ffi.string(characters).decode("utf-8", "replace"))


@cache
def reason_unavailable() -> str | None:
    """Returns in one line why Vulkan cannot be used here, or None. Opens the loader, and no device."""
    try:
        vulkan()
    except BackendError as error:
        return error.message
    return None


@cache
def vulkan() -> Vulkan:
    """Opens the loader. Raises `BackendError` that says what is missing and how to get it."""
    ffi = declarations()
    names = _LIBRARIES.get(sys.platform, ("libvulkan.so.1", "libvulkan.so"))
    for name in names:
        try:
            return Vulkan(ffi, ffi.dlopen(name))
        except OSError:
            continue
    raise BackendError(
        f"there is no Vulkan loader (`{names[0]}`) on this machine; it comes with the driver of the GPU, "
        "or as the package `libvulkan1` (Debian, Ubuntu), `vulkan-loader` (Fedora), `vulkan-icd-loader` (Arch)"
    )


@cache
def declarations() -> Any:
    """Returns the cffi declarations of the `vulkan` package without importing its wrappers."""
    package = find_spec("vulkan")
    folders = list(package.submodule_search_locations or []) if package is not None else []
    for folder in folders:
        path = Path(folder) / "_vulkancache.py"
        spec = spec_from_file_location(_MODULE, path) if path.is_file() else None
        if spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.ffi
    raise BackendError("the package `vulkan` is not installed; `pip install alpha-helios` brings it")
