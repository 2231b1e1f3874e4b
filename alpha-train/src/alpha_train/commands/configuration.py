"""The configuration that a command line means, the same for `alpha train` and for what looks at it before."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpha_core.plugins import Plugins

if TYPE_CHECKING:
    from alpha_core.config import LoadedConfig

__all__ = ["DEFAULT_DOMAIN", "load_new_run"]

DEFAULT_DOMAIN = "python"


def load_new_run(
    plugins: Plugins,
    flags: Mapping[str, str],
    domain: str | None,
    file: Path | None,
    profile: Path | None = None,
    parent: Mapping[str, Mapping[str, Any]] | None = None,
) -> "LoadedConfig":
    """Returns the configuration of a new run: of the default domain where nothing says what to train on.

    `parent` holds the settings of the run that it starts from.
    """
    from alpha_core.config import load_config

    if domain is None and file is None and "data" not in flags and not {"ALPHA_DOMAIN", "ALPHA_DATA"} & set(os.environ):
        domain = DEFAULT_DOMAIN
    return load_config(
        domain=domain,
        parent=parent,
        domain_config=lambda name: plugins.domains.get(name).load(),
        optimizer_defaults=lambda name: plugins.optimizers.get(name).defaults,
        file=file,
        environ=os.environ,
        profile=profile,
        flags=flags,
    )
