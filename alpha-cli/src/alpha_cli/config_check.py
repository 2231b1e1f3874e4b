"""Everything that is wrong with a config file: the settings, and the names of parts that nobody brings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from alpha_core.config import DomainConfig, load_config
from alpha_core.config.file import read_config_file
from alpha_core.config.merge import Merge
from alpha_core.config.section import describe
from alpha_core.errors import AlphaError, ConfigError
from alpha_core.plugins import Plugins

__all__ = ["CheckedFile", "check_config_file"]

_REGISTRY_OF = {  # setting: where its names are looked up
    "activation": "activations",
    "tokenizer": "tokenizers",
    "backend": "backends",
    "schedule": "schedules",
    "optimizer": "optimizers",
    "sinks": "metric_sinks",
}
_OWN_NAMES = {"backend": ("auto",)}


@attrs.frozen
class CheckedFile:
    """What a check found."""

    problems: Sequence[str]
    notes: Sequence[str] = ()
    """What is allowed but probably not meant."""


def check_config_file(
    file: Path,
    plugins: Plugins,
    *,
    domain_config: Callable[[str], DomainConfig],
    optimizer_defaults: Callable[[str], Mapping[str, Any]],
) -> CheckedFile:
    """Returns every problem of a config file, whatever the environment says. It raises nothing."""
    try:
        content = read_config_file(file)
    except ConfigError as error:
        return CheckedFile([error.message])
    problems: list[str] = []
    notes: Sequence[str] = ()
    try:
        notes = load_config(domain_config=domain_config, optimizer_defaults=optimizer_defaults, file=file).notes
    except ConfigError as error:
        problems += error.problems
    problems += _unknown_names(content, f"file `{file}`", plugins)
    return CheckedFile(list(dict.fromkeys(problems)), notes)


def _unknown_names(content: Mapping[str, Any], source: str, plugins: Plugins) -> Iterator[str]:
    merge = Merge()
    merge.add_sections(content, source)
    for key, registry in _REGISTRY_OF.items():
        value = merge.values.get(key)
        if merge.sources[key] != source or value is None:
            continue
        for name in value if isinstance(value, tuple) else (value,):
            if name in _OWN_NAMES.get(key, ()) or (key == "tokenizer" and name.endswith(".json")):
                continue
            try:
                getattr(plugins, registry).get(name)
            except AlphaError as error:
                reason = "; ".join(filter(None, [error.message, error.hint]))
                yield f"{describe(key, value, source)}: {reason}"
