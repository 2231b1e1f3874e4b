"""A profile: training settings that suit a backend on a machine, as `alpha bench tune` finds and writes them.

```toml
[profile]
backend = "cpu"
device = "cpu: 2 threads, AVX-512"
version = "0.1.0"
date = "2026-11-21"
tokens_per_second = 11702.8

[train]
batch_size = 16
accum_steps = 1
knobs = ["lanes=2", "chunk=256"]
```
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from alpha_core.config.file import read_config_file
from alpha_core.config.merge import Merge
from alpha_core.config.section import config_error
from alpha_core.config.setting import shown
from alpha_core.config.toml import toml_value
from alpha_core.errors import ConfigError
from alpha_core.suggest import did_you_mean

__all__ = ["Profile", "read_profile", "write_profile"]


@attrs.frozen(kw_only=True)
class Profile:
    """What was tuned, and for what."""

    backend: str
    device: str = ""
    """What the backend said of itself: `Backend.description`."""
    version: str = ""
    """Of the package that brought the backend."""
    date: str = ""
    """Of the measurement: `2026-11-21`."""
    tokens_per_second: float | None = None
    """What was measured; None where nobody did."""
    train: Mapping[str, Any] = attrs.field(factory=dict)
    """Settings of `[train]`, by key."""

    @property
    def header(self) -> dict[str, str | float]:
        """What the table `[profile]` holds."""
        texts: dict[str, str | float] = {
            "backend": self.backend,
            "device": self.device,
            "version": self.version,
            "date": self.date,
        }
        return texts if self.tokens_per_second is None else {**texts, "tokens_per_second": self.tokens_per_second}


def read_profile(path: Path) -> Profile:
    """Returns the profile in a file. Raises `ConfigError` with everything that is wrong with it."""
    content = read_config_file(path)
    source = f"profile `{path}`"
    problems = [f"unknown section [{name}] ({source})" for name in content if name not in ("profile", "train")]
    header, train = (_table(content, name, source, problems) for name in ("profile", "train"))
    fields = [field.name for field in attrs.fields(Profile) if field.name != "train"]
    for key, value in header.items():
        if key not in fields:
            hint = did_you_mean(key, fields)
            problems.append(f"unknown key {shown(key)} in [profile] ({source})" + (f"; {hint}" if hint else ""))
        elif key == "tokens_per_second":
            if type(value) not in (int, float):
                problems.append(f"`{key}` in [profile] ({source}): expected a number")
        elif not isinstance(value, str) or not value.isprintable():
            problems.append(f"`{key}` in [profile] ({source}): expected text")
    if not header.get("backend"):
        problems.append(f"{source} names no backend: `backend` in [profile] is missing")
    if "backend" in train:
        problems.append(f"`backend` ({source}): belongs in [profile]")
    merge = Merge()
    merge.add_sections({"train": train}, source)
    problems += merge.problems
    if problems:
        raise config_error(problems)
    return Profile(train=train, **header)


def write_profile(path: Path, profile: Profile) -> None:
    """Writes a profile, for `read_profile`. Raises `ConfigError` if the file cannot be written."""
    lines = ["[profile]", *(f"{key} = {toml_value(value)}" for key, value in profile.header.items())]
    lines += ["", "[train]", *(f"{key} = {toml_value(value)}" for key, value in profile.train.items())]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"profile `{path}` cannot be written: {error.strerror}") from error


def _table(content: Mapping[str, Any], name: str, source: str, problems: list[str]) -> Mapping[str, Any]:
    table = content.get(name, {})
    if isinstance(table, Mapping):
        return table
    problems.append(f"[{name}] = {shown(table)} ({source}): expected a table")
    return {}
