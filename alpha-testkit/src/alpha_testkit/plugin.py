"""What this package registers with Alpha: the `plugins check` command."""

from typing import TYPE_CHECKING, Annotated

from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp


@hookimpl
def register_commands(app: "CommandApp") -> None:
    group = app.group("plugins", help="Shows and checks plugins.")

    @group.command(
        "check",
        help="Runs the conformance kits on everything that a plugin registers.",
        examples=("alpha plugins check tensor",),
    )
    def check(name: Annotated[str, "The plugin, as `alpha plugins list` names it."]) -> None:
        from alpha_testkit.plugin_check import check_plugin

        check_plugin(name, app.plugins)
