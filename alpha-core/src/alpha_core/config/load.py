"""Loads a configuration: defaults < optimizer < domain < parent < config file < environment < profile < flags."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from alpha_core.config.domain import DomainConfig
from alpha_core.config.file import read_config_file
from alpha_core.config.merge import ALL_SETTINGS, Merge
from alpha_core.config.profile import Profile, read_profile
from alpha_core.config.run import RunConfig
from alpha_core.config.section import describe
from alpha_core.config.setting import shown
from alpha_core.errors import UnknownNameError
from alpha_core.suggest import closest

__all__ = ["LoadedConfig", "load_config"]

T = TypeVar("T")
DOMAIN_VARIABLE = "ALPHA_DOMAIN"
OTHER_VARIABLES = ("ALPHA_PLUGINS", "ALPHA_THREADS", "ALPHA_CACHE", "ALPHA_DEBUG")
"""Environment variables that are no settings: they say how the program runs, not what it computes."""
OTHER_PREFIXES = ("ALPHA_HELIOS_", "ALPHA_REMOTE_")


@attrs.frozen(kw_only=True)
class LoadedConfig:
    """A configuration, and how it came about."""

    config: RunConfig
    sources: Mapping[str, str]
    """For each setting key where its value is from: `default`, ``optimizer `lion` ``, ``flag `--lr` ``, ..."""
    notes: tuple[str, ...] = ()
    """What is allowed but probably not meant, a sentence each."""
    domain_config: DomainConfig | None = None
    """The domain that was applied; its prompts are of use beyond the settings."""


def load_config(
    *,
    domain: str | None = None,
    domain_config: Callable[[str], DomainConfig],
    parent: Mapping[str, Mapping[str, Any]] | None = None,
    optimizer_defaults: Callable[[str], Mapping[str, Any]] = lambda name: {},
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    profile: Path | None = None,
    flags: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Merges all sources of settings, each over the one before it.

    They are: defaults, the usual settings of the optimizer, domain, parent, config file, environment, profile, flags.
    `parent` holds settings, by section, of the run that another one starts from. `domain`
    is that of the command line; without it the environment (`ALPHA_DOMAIN`) or the file may name one. `domain_config`
    looks a domain up, `optimizer_defaults` the `OptimizerInfo.defaults` of the optimizer, whichever source names it;
    both raise `UnknownNameError` for a name that nobody registered. `flags` maps setting keys to text. A profile is for
    the backend that it names, which stands for `auto`. Raises `ConfigError` with everything that is wrong, whichever
    source it comes from.
    """
    environ = environ or {}
    merge = Merge()
    content = read_config_file(file) if file is not None else {}
    file_source = f"file `{file}`"

    name, source = _choose_domain(domain, environ, content.get("domain"), file_source)
    if name is not None and not isinstance(name, str):
        merge.problems.append(f"{describe('domain', name, source)}: expected the name of a domain")
        name = None
    preset = _look_up(domain_config, "domain", name, source, merge) if name is not None else None
    if preset is not None:
        merge.add_sections(preset.overrides, f"domain `{name}`")
    merge.add_sections(parent or {}, "its parent")
    merge.add_sections(content, file_source)
    merge.add_environment(environ)
    flags = dict(flags or {})
    if profile is not None:
        _add_profile(merge, read_profile(profile), f"profile `{profile}`", flags)
    merge.add_flags(flags)
    notes = [*_environment_notes(environ), *_add_optimizer(merge, optimizer_defaults, name)]
    config = merge.finish(name)
    return LoadedConfig(
        config=config,
        sources=merge.sources,
        notes=(*notes, *_training_notes(config, merge.sources)),
        domain_config=preset,
    )


def _choose_domain(
    flag: str | None, environ: Mapping[str, str], in_file: object, file_source: str
) -> tuple[object, str]:
    if flag is not None:
        return flag, "flag `--domain`"
    if DOMAIN_VARIABLE in environ:
        return environ[DOMAIN_VARIABLE], f"environment variable `{DOMAIN_VARIABLE}`"
    return in_file, file_source


def _look_up(lookup: Callable[[str], T], key: str, name: str, source: str, merge: Merge) -> T | None:
    """Returns what has a name; one that nobody registered is a problem among the others."""
    try:
        return lookup(name)
    except UnknownNameError as error:
        reason = "; ".join(filter(None, [error.message, error.hint]))
        merge.problems.append(f"{describe(key, name, source)}: {reason}")
        return None


def _add_optimizer(merge: Merge, lookup: Callable[[str], Mapping[str, Any]], domain: str | None) -> list[str]:
    """Lays the optimizer's usual settings beneath all that was given; notes where the domain meant another one's."""
    if "optimizer" not in merge.values:
        return []
    name, source = merge.values["optimizer"], merge.sources["optimizer"]
    defaults = _look_up(lookup, "optimizer", name, source, merge) or {}
    merge.add_beneath("train", defaults, f"optimizer `{name}`")
    preset = f"domain `{domain}`"
    if source == preset:
        return []
    return [
        f"{describe(key, merge.values[key], preset)} may not suit optimizer `{name}`, whose own is {shown(value)}"
        for key, value in defaults.items()
        if merge.sources.get(key) == preset and merge.values.get(key) != value
    ]


def _add_profile(merge: Merge, profile: Profile, source: str, flags: dict[str, str]) -> None:
    """Lays a profile on top, if it is for the backend that will compute; takes a flag `--backend=auto` out."""
    chosen, origin = merge.values.get("backend", "auto"), merge.sources["backend"]
    if "backend" in flags:
        chosen, origin = flags["backend"], "flag `--backend`"
    if chosen == "auto":
        flags.pop("backend", None)
    elif chosen != profile.backend:
        given = describe("backend", chosen, origin)
        merge.problems.append(f"{source} is for backend `{profile.backend}`, and {given}; tune again for that one")
    merge.add_sections({"train": {**profile.train, "backend": profile.backend}}, source)


def _environment_notes(environ: Mapping[str, str]) -> list[str]:
    variables = {name: s.env for s in ALL_SETTINGS.values() for name in (s.key, *s.aliases)}
    variables["domain"] = DOMAIN_VARIABLE
    used = {*variables.values(), *OTHER_VARIABLES}
    notes = []
    for variable in sorted(environ):
        if not variable.startswith("ALPHA_") or variable in used or variable.startswith(OTHER_PREFIXES):
            continue
        match = closest(variable.removeprefix("ALPHA_"), variables, cutoff=0.8)
        if match is not None:
            notes.append(f"environment variable `{variable}` is not used; did you mean `{variables[match]}`?")
    return notes


def _training_notes(config: RunConfig, sources: Mapping[str, str]) -> list[str]:
    train = config.train
    notes = []
    if train.resolved_warmup >= train.iters:
        rise = describe("warmup", train.warmup, sources["warmup"])
        notes.append(f"{rise} is not shorter than {describe('iters', train.iters)}: the learning rate never falls")
    if config.domain is not None and sources["data"] == "default":
        notes.append(f"domain `{config.domain}` brings no text; without `--data`, training reads `{train.data}`")
    return notes
