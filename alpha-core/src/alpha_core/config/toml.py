"""Configurations as TOML files: one that holds everything, and one to edit."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from alpha_core.config.domain import DomainConfig
from alpha_core.config.run import SECTIONS, RunConfig
from alpha_core.config.setting import Setting, settings_of

__all__ = ["format_template", "format_toml", "toml_value"]

_WIDTH = 100


def format_toml(config: RunConfig, sources: Mapping[str, str] | None = None) -> str:
    """Returns a config file that yields `config` again; comments tell where each value is from that is no default."""
    sources = sources or {}
    lines = [] if config.domain is None else [f"domain = {toml_value(config.domain)}", ""]
    for section in (config.model, config.train, config.sample):
        lines.append(f"[{section.section}]")
        for setting in settings_of(type(section)):
            line = f"{setting.key} = {toml_value(getattr(section, setting.key))}"
            source = sources.get(setting.key, "default")
            lines.append(line if source == "default" else f"{line}  # {_comment(source)}")
        lines.append("")
    return "\n".join(lines)


def format_template(domain: str | None = None, preset: DomainConfig | None = None) -> str:
    """Returns a config file to edit: every setting with its meaning, at its default and commented out.

    With a domain and what it stands for: the settings that it changes alone, at its values and in force.
    """
    lines = [] if domain is None else [f"domain = {toml_value(domain)}", ""]
    for config in SECTIONS:
        overrides = preset.overrides[config.section] if preset is not None else {}
        settings = [setting for setting in settings_of(config) if preset is None or setting.key in overrides]
        if settings:
            lines += [f"[{config.section}]", ""]
        for setting in settings:
            value = overrides.get(setting.key, setting.default)
            lines += [*_explained(setting), f"{'# ' if preset is None else ''}{setting.key} = {toml_value(value)}", ""]
    return "\n".join(lines)


def _explained(setting: Setting) -> Iterator[str]:
    text = setting.help if setting.type is str and setting.choices is None else f"{setting.help} [{setting.allowed}]"
    for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False):
        yield f"# {line}"


def toml_value(value: Any) -> str:
    """Returns a value as TOML writes it: of a setting, so a text, number, boolean or sequence of texts."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, str):  # a JSON string is a TOML string, but for the one control character that JSON allows
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _comment(text: str) -> str:
    """A file name in a comment may hold anything, even the end of the line."""
    return text if text.isprintable() else repr(text)
