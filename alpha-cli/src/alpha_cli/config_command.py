"""`alpha config init | show | check`: configuration files before they are used."""

import json as json_format
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from alpha_core.config import SECTIONS, DomainConfig
from alpha_core.errors import UsageError
from alpha_core.plugins import Plugins

if TYPE_CHECKING:
    from alpha_core.command import CommandApp

__all__ = ["add_config_commands"]

_FILE = Path("alpha.toml")
_INIT_EXAMPLES = ("alpha config init", "alpha config init chat.toml --domain=chat")
_SHOW_EXAMPLES = ("alpha config show --domain=chat --lr=1e-4", "alpha config show --config=alpha.toml --json")


def add_config_commands(app: "CommandApp") -> None:
    """Adds the group `config`."""
    group = app.group("config", help="Writes, shows and checks configurations.")

    @group.command("init", help="Writes a config file to edit: every setting, explained.", examples=_INIT_EXAMPLES)
    def init(
        file: Annotated[Path, "The file to write."] = _FILE,
        /,
        *,
        domain: Annotated[str | None, "Begin with a domain, and list only what it sets."] = None,
        force: Annotated[bool, "Replace the file if it exists."] = False,
    ) -> None:
        from alpha_core.config import format_template

        if file.suffix.lower() != ".toml":
            raise UsageError(f"a config file to edit is a `.toml` file, not `{file}`")
        text = format_template(domain, _domains(app.plugins)(domain) if domain is not None else None)
        try:
            with open(file, "w" if force else "x", encoding="utf-8", newline="\n") as opened:
                opened.write(text)
        except FileExistsError:
            raise UsageError(f"`{file}` exists", hint="`--force` replaces it") from None
        except OSError as error:
            raise UsageError(f"`{file}` cannot be written: {error.strerror}") from error
        _note(f"`{file}` is written; use it with `alpha train --config={file}`")

    @group.config_command(
        "show",
        configs=SECTIONS,
        help="Shows the configuration of a run, and where it is from.",
        examples=_SHOW_EXAMPLES,
    )
    def show(
        flags: Mapping[str, str],
        *,
        domain: Annotated[str | None, "Preset for one kind of text, beneath all other settings."] = None,
        config: Annotated[Path | None, "Settings in a TOML or JSON file."] = None,
        json: Annotated[bool, "Write JSON."] = False,
    ) -> None:
        from alpha_core.config import format_toml, load_config, to_dict

        loaded = load_config(
            domain=domain,
            domain_config=_domains(app.plugins),
            optimizer_defaults=_optimizers(app.plugins),
            file=config,
            environ=os.environ,
            flags=flags,
        )
        for text in loaded.notes:
            _note(text)
        if json:
            content = {**to_dict(loaded.config), "sources": dict(loaded.sources)}
            print(json_format.dumps(content, indent=2))
        else:
            print(format_toml(loaded.config, loaded.sources), end="")

    @group.command("check", help="Checks config files, and names everything that is wrong.")
    def check(files: Annotated[list[Path], "TOML or JSON files."]) -> None:
        from alpha_cli.config_check import check_config_file
        from alpha_core.config.section import config_error

        problems: list[str] = []
        for file in files:
            checked = check_config_file(
                file, app.plugins, domain_config=_domains(app.plugins), optimizer_defaults=_optimizers(app.plugins)
            )
            problems += checked.problems
            for text in checked.notes:
                _note(text)
            if not checked.problems:
                print(f"`{file}` is fine")
        if problems:
            raise config_error(problems)


def _note(text: str) -> None:
    from alpha_cli.errors import say  # brings typer

    say("note", text)


def _domains(plugins: Plugins) -> Callable[[str], DomainConfig]:
    return lambda name: plugins.domains.get(name).load()


def _optimizers(plugins: Plugins) -> Callable[[str], Mapping[str, Any]]:
    return lambda name: plugins.optimizers.get(name).defaults
