"""How errors look: one line, a separate hint, and the exit code of the error's class; tracebacks only on request."""

import os
import re
import sys
import traceback

import typer

from alpha_cli.help_text import BROKEN_PIPE, INTERRUPTED, UNEXPECTED
from alpha_core.errors import AlphaError

__all__ = ["report", "say"]

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan", "hint": "cyan"}


def say(label: str, text: str) -> None:
    """Writes `label: text` to standard error; the label is coloured in a terminal, unless `NO_COLOR` is set."""
    colour = None if os.environ.get("NO_COLOR") is None else False
    typer.echo(f"{typer.style(label, fg=_COLOURS[label], bold=True)}: {text}", err=True, color=colour)


def report(error: BaseException, *, debug: bool) -> int:
    """Tells a person about an error and returns the exit code."""
    if isinstance(error, BrokenPipeError):
        return _swallow_broken_pipe()
    if debug and not isinstance(error, typer.TyperException):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        say("error", "interrupted")
        return INTERRUPTED
    if isinstance(error, AlphaError):
        say("error", error.message)
        if error.hint is not None:
            say("hint", error.hint)
        return error.exit_code
    if isinstance(error, typer.TyperException):
        say("error", _in_our_words(error.format_message()))
        command = getattr(getattr(error, "ctx", None), "command_path", "alpha")
        say("hint", f"`{command} --help` shows how to call it")
        return error.exit_code
    text = str(error) or "no message"
    say("error", f"unexpected {type(error).__name__}: {text}")
    if not debug:
        say("hint", "this is a bug in Alpha or in a plugin; run again with `--debug` for the traceback")
    return UNEXPECTED


def _in_our_words(message: str) -> str:
    """Literals in backticks, and no capital or full stop, as in all other messages."""
    message = re.sub(r"'([^']*)'", r"`\1`", message.strip().removesuffix("."))
    return message[:1].lower() + message[1:]


def _swallow_broken_pipe() -> int:
    """Points standard output nowhere, so that the interpreter's own flush at exit does not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
