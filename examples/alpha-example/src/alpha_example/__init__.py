"""An example plugin of Alpha. Nothing is imported here: `plugin` tells Alpha what there is, and loads it on use."""

__version__ = "1.0.0"
