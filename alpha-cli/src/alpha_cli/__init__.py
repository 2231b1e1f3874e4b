"""The `alpha` command: everything it can do is discovered from plugins."""

__version__ = "0.1.0"
