"""A configuration as a TOML file, for `--print-config`."""

import json
from collections.abc import Mapping
from typing import Any

from alpha_core.config.run import RunConfig
from alpha_core.config.setting import settings_of

__all__ = ["format_toml"]


def format_toml(config: RunConfig, sources: Mapping[str, str] | None = None) -> str:
    """Returns a config file that yields `config` again; comments tell where each value is from that is no default."""
    sources = sources or {}
    lines = [] if config.domain is None else [f"domain = {_value(config.domain)}", ""]
    for section in (config.model, config.train, config.sample):
        lines.append(f"[{section.section}]")
        for setting in settings_of(type(section)):
            line = f"{setting.key} = {_value(getattr(section, setting.key))}"
            source = sources.get(setting.key, "default")
            lines.append(line if source == "default" else f"{line}  # {_comment(source)}")
        lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):  # a JSON string is a TOML string, but for the one control character that JSON allows
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _comment(text: str) -> str:
    """A file name in a comment may hold anything, even the end of the line."""
    return text if text.isprintable() else repr(text)
