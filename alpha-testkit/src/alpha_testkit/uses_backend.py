"""The backend of kits for parts that are no backends themselves."""

from typing import ClassVar

from alpha_core.backend import Backend
from alpha_core.plugins import load_plugins
from alpha_testkit.conformance import Conformance

__all__ = ["UsesBackend"]


class UsesBackend(Conformance, kit=True):
    """Opens a backend for the class: `cpu_ref` of the installed plugins, unless `make_backend` is overridden."""

    backend: ClassVar[Backend]

    def make_backend(self) -> Backend:
        """Returns the backend that the part is tested on."""
        return load_plugins().backends.get("cpu_ref").load()

    @classmethod
    def setup_class(cls) -> None:
        cls.backend = cls().make_backend()

    @classmethod
    def teardown_class(cls) -> None:
        cls.backend.close()
