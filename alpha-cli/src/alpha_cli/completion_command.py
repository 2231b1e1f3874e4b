"""`alpha completion bash | zsh | fish`: scripts that let a shell complete what a person types."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from alpha_core.command import CommandApp

__all__ = ["add_completion_commands"]

_SETUP = {
    "bash": "Put `source <(alpha completion bash)` into `~/.bashrc`.",
    "zsh": "Put `source <(alpha completion zsh)` into `~/.zshrc`, after `compinit`.",
    "fish": "Run `alpha completion fish > ~/.config/fish/completions/alpha.fish` once.",
}


def add_completion_commands(app: "CommandApp") -> None:
    """Adds the group `completion`."""
    group = app.group("completion", help="Prints what a shell needs to complete what you type.")
    for shell, setup in _SETUP.items():
        group.command(shell, help=f"Prints the script for {shell}.\n\n{setup}")(_printer(shell))

    @group.command("candidates", help="Lists what could come next; the scripts call this.")
    def candidates(line: Annotated[str, "The command line up to the cursor."]) -> None:
        import typer

        from alpha_cli.app import build_app
        from alpha_cli.completion import candidates

        root = typer.main.get_command(build_app(app.plugins))
        print("\n".join(candidates(root, app.plugins, line)))


def _printer(shell: str) -> Callable[[], None]:
    def command() -> None:
        from alpha_cli.completion import script_of

        print(script_of(shell), end="")

    return command
