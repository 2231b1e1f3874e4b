"""What this package registers with Alpha: the tokenizer presets and the `alpha tokenizer` commands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alpha_core.descriptors import TokenizerInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp


@hookimpl
def register_tokenizers() -> Sequence[TokenizerInfo]:
    from alpha_tokenizers.presets import PRESETS

    return PRESETS


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_tokenizers.commands import add_commands

    add_commands(app)
