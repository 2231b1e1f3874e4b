"""Fixtures of the tests of whole runs."""

from tests.train.conftest import cache, make_config, plugins, text

__all__ = ["cache", "make_config", "plugins", "text"]
