"""A backend on the device that the Vulkan loader finds; modules and pipelines are cached for one run of the tests."""

import os
from collections.abc import Iterator

import pytest
from tests.helios.spirv.tools import validate

from alpha_core.recording.launch import KernelSpec
from alpha_helios import compiler
from alpha_helios.backend import Helios
from alpha_helios.compiler import build_kernel
from alpha_helios.spirv.kernel import Binary
from alpha_helios.vulkan.loader import reason_unavailable


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps kernels out of the user's cache."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which the workers share
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALPHA_CACHE", str(folder / "alpha-cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _valid_modules() -> Iterator[None]:
    """Every module that any test has built and that the cache does not hold yet is shown to `spirv-val`.

    Not without the tool; the tests of the assembler insist on it.
    """

    def build(spec: KernelSpec) -> Binary:
        binary = build_kernel(spec)
        validate(binary)
        return binary

    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("ALPHA_SPIRV_TOOLS"):
            patch.setattr(compiler, "build_kernel", build)
        yield


@pytest.fixture(scope="session")
def device_available() -> None:
    """Skips where there is no Vulkan device; CI does not let that pass."""
    reason = reason_unavailable()
    if reason is not None:
        pytest.skip(f"no Vulkan device: {reason}")


@pytest.fixture(scope="session")
def _shared(device_available: None) -> Iterator[Helios]:
    backend = Helios()
    yield backend
    backend.close()


@pytest.fixture
def helios(_shared: Helios) -> Iterator[Helios]:
    """One backend for all tests of a worker; with validation on, a test that makes the layer speak fails."""
    before = len(_shared.device.messages)
    yield _shared
    _shared.queue.flush()
    _shared.device.wait()
    messages = _shared.device.messages[before:]
    assert not messages, "\n".join(str(message) for message in messages)
