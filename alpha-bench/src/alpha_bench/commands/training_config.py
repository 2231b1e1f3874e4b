"""The training configuration that `loop` and `tune` measure: a model of the suites by name, or any configuration."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alpha_core.errors import UnknownNameError, UsageError
from alpha_core.plugins import Plugins
from alpha_core.suggest import did_you_mean

if TYPE_CHECKING:
    from alpha_core.config import RunConfig

__all__ = ["DEFAULT_MODEL", "training_config"]

DEFAULT_MODEL = "4x128"


def training_config(
    plugins: Plugins, flags: Mapping[str, str], model: str | None, domain: str | None, file: Path | None
) -> "RunConfig":
    """Returns a model of the suites with `flags` above it, or with a file or domain what `alpha train` would take.

    There a tokenizer of a known size decides the vocabulary, unless `flags` do. Raises `UsageError` for a model beside
    a file or domain, and `UnknownNameError` for one that there is not.
    """
    if file is None and domain is None:
        return _load(plugins, {**_model_settings(model or DEFAULT_MODEL), **flags}, None, None)
    if model is not None:
        raise UsageError("`--model` is a whole configuration; it goes without `--config` and `--domain`")
    config = _load(plugins, flags, domain, file)
    tokenizer = config.train.tokenizer
    size = None if tokenizer.endswith(".json") else plugins.tokenizers.get(tokenizer).vocab_size
    if size is None or "vocab_size" in flags:
        return config
    return _load(plugins, {**flags, "vocab_size": str(size)}, domain, file)


def _load(plugins: Plugins, flags: Mapping[str, str], domain: str | None, file: Path | None) -> "RunConfig":
    from alpha_core.config import load_config

    return load_config(
        domain=domain,
        domain_config=lambda name: plugins.domains.get(name).load(),
        optimizer_defaults=lambda name: plugins.optimizers.get(name).defaults,
        file=file,
        environ=os.environ,
        flags=flags,
    ).config


def _model_settings(name: str) -> dict[str, str]:
    """Returns the settings of a model of the suites as flags have them, without those at their defaults."""
    from alpha_bench.suites.models import MODELS
    from alpha_core.config import settings_of

    if name not in MODELS:
        raise UnknownNameError(
            f"there is no model `{name}`; there are {', '.join(f'`{known}`' for known in MODELS)}",
            hint=did_you_mean(name, MODELS) or "`--config` and `--domain` take any other",
        )
    model = MODELS[name]
    settings = {
        setting.key: setting.text(value)
        for setting in settings_of(type(model.config))
        if (value := getattr(model.config, setting.key)) != setting.default
    }
    return {**settings, "batch_size": str(model.batch_size)}
