"""Merges settings from several sources, later over earlier, and collects everything that is wrong with them."""

from collections.abc import Callable, Mapping
from typing import Any

from alpha_core.config.run import SECTIONS, RunConfig
from alpha_core.config.section import config_error, contradictions, describe
from alpha_core.config.setting import Setting, settings_of, shown
from alpha_core.config.structure import structure_data, structure_text
from alpha_core.suggest import closest

__all__ = ["ALL_SETTINGS", "Merge"]

ALL_SETTINGS = {setting.key: setting for config in SECTIONS for setting in settings_of(config)}
_SETTING_OF_SPELLING = {spelling: setting for setting in ALL_SETTINGS.values() for spelling in setting.spellings}


class Merge:
    """Starts from the defaults; each `add_*` lays one source on top, and `finish` returns the result."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {setting.key: setting.default for setting in ALL_SETTINGS.values()}
        self.sources: dict[str, str] = dict.fromkeys(self.values, "default")
        self.problems: list[str] = []
        self.has_unknown_keys = False

    def add_sections(self, content: Mapping[str, Any], source: str) -> None:
        """Adds what a config file holds, all but its `domain`: tables [model], [train] and [sample]."""
        sections = [config.section for config in SECTIONS]
        for name, table in content.items():
            if name == "domain":
                continue
            if name in _SETTING_OF_SPELLING:
                self.problems.append(f"`{name}` ({source}): belongs in [{_SETTING_OF_SPELLING[name].section}]")
            elif name not in sections:
                problem = f"unknown section {shown(name)} ({source})"
                self._add_unknown(name, problem, {section: f"[{section}]" for section in sections})
            elif not isinstance(table, Mapping):
                self.problems.append(f"[{name}] = {shown(table)} ({source}): expected a table of settings")
            else:
                self._add_table(name, table, source)

    def add_beneath(self, section: str, table: Mapping[str, Any], source: str) -> None:
        """Adds settings of one section that no source has set: only a default gives way to them."""
        given = {
            spelling
            for key, its_source in self.sources.items()
            if its_source != "default"
            for spelling in ALL_SETTINGS[key].spellings
        }
        self._add_table(section, {name: value for name, value in table.items() if name not in given}, source)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Adds the variables that are named after settings; others are none of our business."""
        for setting in ALL_SETTINGS.values():
            if setting.env in environ:
                self._add(setting, environ[setting.env], structure_text, f"environment variable `{setting.env}`")

    def add_flags(self, flags: Mapping[str, str]) -> None:
        """Adds command-line flags, by setting key."""
        for key, text in flags.items():
            if key in ALL_SETTINGS:
                self._add(ALL_SETTINGS[key], text, structure_text, f"flag `{ALL_SETTINGS[key].flag}`")
            else:
                flag = "--" + key.replace("_", "-")
                self._add_unknown(key, f"unknown flag {shown(flag)}", {k: s.flag for k, s in ALL_SETTINGS.items()})

    def finish(self, domain: str | None) -> RunConfig:
        """Returns the configuration. Raises `ConfigError` with every problem of every source."""
        for config in SECTIONS:
            self.problems += contradictions(config, self.values, self.sources)
        if self.problems:
            raise config_error(self.problems)
        sections = {c.section: c(**{s.key: self.values[s.key] for s in settings_of(c)}) for c in SECTIONS}
        return RunConfig(domain=domain, **sections)  # type: ignore[arg-type]

    def _add_table(self, section: str, table: Mapping[str, Any], source: str) -> None:
        spelled: dict[str, str] = {}
        for name, value in table.items():
            setting = _SETTING_OF_SPELLING.get(name)
            if setting is None:
                keys = {key: key for key, known in ALL_SETTINGS.items() if known.section == section}
                self._add_unknown(name, f"unknown key {shown(name)} in [{section}] ({source})", keys)
            elif setting.section != section:
                self.problems.append(f"`{name}` in [{section}] ({source}): belongs in [{setting.section}]")
            elif setting.key in spelled:
                self.problems.append(f"`{spelled[setting.key]}` and `{name}` ({source}) are the same setting")
            else:
                spelled[setting.key] = name
                self._add(setting, value, structure_data, source)

    def _add(self, setting: Setting, given: Any, structure: Callable[[Setting, Any], Any], source: str) -> None:
        try:
            value = structure(setting, given)
            reason = setting.problem(value)
        except ValueError:
            reason = f"expected {setting.allowed}"
        self.sources[setting.key] = source
        if reason is None:
            self.values[setting.key] = value
        else:
            self.values.pop(setting.key, None)  # no value: rules between settings cannot be checked with it
            self.problems.append(f"{describe(setting.key, given, source)}: {reason}")

    def _add_unknown(self, name: str, problem: str, known: Mapping[str, str]) -> None:
        self.has_unknown_keys = True
        match = closest(name, known)
        self.problems.append(f"{problem}; did you mean `{known[match]}`?" if match else problem)
