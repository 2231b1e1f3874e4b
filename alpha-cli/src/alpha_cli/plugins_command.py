"""`alpha plugins list`: which plugins there are, what each registers, and what is unavailable or broken and why."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from alpha_core.errors import UnknownNameError
from alpha_core.kinds import COMMANDS, KINDS, label_of
from alpha_core.plugins import Plugins
from alpha_core.suggest import did_you_mean

if TYPE_CHECKING:
    from alpha_core.command import CommandApp

__all__ = ["add_commands", "describe_parts", "describe_plugins"]


def add_commands(app: "CommandApp") -> None:
    """Adds `plugins list`."""
    group = app.group("plugins", help="Shows and checks plugins.")

    @group.command("list", help="Lists plugins, what each registers, and what is unavailable or broken and why.")
    def list_plugins(
        *,
        kind: Annotated[str | None, "List the parts of one kind instead: backends, tokenizers, commands, ..."] = None,
        json: Annotated[bool, "Write JSON."] = False,
    ) -> None:
        if kind is None:
            _show(describe_plugins(app.plugins), as_json=json, columns=("plugin", "version", "state", "registers"))
        else:
            parts = describe_parts(app.plugins, _kind_named(kind))
            _show(parts, as_json=json, columns=("name", "plugin", "state", "summary"))


def describe_plugins(plugins: Plugins) -> list[dict[str, Any]]:
    """Returns one JSON object for each plugin; `state` is `ok`, `broken` or `left out`, and `reason` says why."""
    unavailable = {
        (registry.owner(info.name), registry.kind.name, info.name): reason
        for registry in plugins.registries
        for info in registry
        if (reason := info.unavailable()) is not None
    }
    described = []
    for record in (*plugins.records, *plugins.skipped):
        state, reason = "ok", None
        if record.broken is not None:
            state, reason = "broken", record.broken
        elif record in plugins.skipped:
            state, reason = "left out", f"{plugins.limit} does not name it"
        described.append(
            {
                "plugin": record.name,
                "package": record.package,
                "version": record.version,
                "state": state,
                "reason": reason,
                "registers": {kind: list(names) for kind, names in record.registers.items()},
                "unavailable": [
                    {"kind": kind, "name": name, "reason": reason}
                    for (owner, kind, name), reason in unavailable.items()
                    if owner == record.name and state == "ok"
                ],
            }
        )
    return described


def describe_parts(plugins: Plugins, kind: str) -> list[dict[str, Any]]:
    """Returns one JSON object for each part of a kind; `state` is `ok` or `unavailable`."""
    if kind == COMMANDS:
        return [
            {"name": info.name, "plugin": info.plugin, "summary": info.help, "state": "ok", "reason": None}
            for info in plugins.commands
        ]
    registry = next(registry for registry in plugins.registries if registry.kind.name == kind)
    described = []
    for info in registry:
        reason = info.unavailable()
        state = "ok" if reason is None else "unavailable"
        owner = registry.owner(info.name)
        described.append(
            {"name": info.name, "plugin": owner, "summary": info.summary, "state": state, "reason": reason}
        )
    return described


def _kind_named(name: str) -> str:
    """Takes plural and singular, with dashes or underscores."""
    kinds = [*(kind.name for kind in KINDS), COMMANDS]
    spellings = {spelling: kind for kind in kinds for spelling in (kind, label_of(kind).replace(" ", "_"))}
    key = name.lower().replace("-", "_")
    if key not in spellings:
        there_are = ", ".join(f"`{kind}`" for kind in kinds)
        raise UnknownNameError(f"unknown kind `{name}`; there are {there_are}", hint=did_you_mean(name, kinds))
    return spellings[key]


def _show(rows: list[dict[str, Any]], *, as_json: bool, columns: Sequence[str]) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
    elif sys.stdout.isatty():
        _show_table(rows, columns)
    else:
        cells = [list(columns), *([_cell(row, column) for column in columns] for row in rows)]
        widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
        for line in cells:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _show_table(rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, show_lines=True)
    for row in rows:
        style = "" if row["state"] == "ok" else "red" if row["state"] == "broken" else "dim"
        table.add_row(*(Text(_cell(row, column, separator="\n"), style=style) for column in columns))
    Console().print(table)


def _cell(row: dict[str, Any], column: str, *, separator: str = "; ") -> str:
    if column == "registers":
        return separator.join(f"{kind}: {', '.join(names)}" for kind, names in row["registers"].items())
    if column == "state":
        reason = f": {row['reason']}" if row["reason"] else ""
        parts = [f"{part['name']} unavailable: {part['reason']}" for part in row.get("unavailable", ())]
        return separator.join([f"{row['state']}{reason}", *parts])
    return row[column] or ""
