"""What all Alpha cases set: the backend, by its name."""

from importlib.metadata import version
from typing import Any

from alpha_core import load_plugins
from alpha_core.backend import Backend

__all__ = ["PLUGINS", "VERSIONS", "open_backend"]

PLUGINS = load_plugins()
VERSIONS = {name: version(name) for name in ("alpha-core", "alpha-tensor", "alpha-train", "numpy")}


def open_backend(name: str, facts: dict[str, Any]) -> Backend:
    """Returns a backend, and notes its name and what it is tuned with in the facts.

    If it is unavailable, `cpu_ref` stands in, and the facts say so.
    """
    reason = next((info.unavailable() for info in PLUGINS.backends if info.name == name), "nobody registered it")
    if reason is not None:
        facts["note"] = f"backend `{name}` is unavailable here ({reason}); measured is `cpu_ref`"
        name = "cpu_ref"
    backend: Backend = PLUGINS.backends.get(name).load()
    facts["backend"] = backend.name
    if not backend.in_host_memory:
        facts["device"] = backend.description
    facts.update({knob.name: knob.value for knob in backend.knobs})
    return backend
