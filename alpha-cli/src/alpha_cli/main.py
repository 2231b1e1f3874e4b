"""The entry point of the `alpha` command."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import typer

from alpha_cli.app import build_app
from alpha_cli.errors import report, say
from alpha_core.errors import UsageError
from alpha_core.plugins import load_plugins

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: this process's) and returns its exit code."""
    arguments, debug = _take_debug(sys.argv[1:] if arguments is None else arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            _limit_threads()
            code = _run(arguments)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place that can tell a person
            return report(error, debug=debug)
    return code


def _run(arguments: list[str]) -> int:
    plugins = load_plugins()
    command = typer.main.get_command(build_app(plugins))
    try:
        with command.make_context("alpha", arguments, obj=plugins) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0


def _limit_threads() -> None:
    """Gives numpy's matrix products `ALPHA_THREADS` threads, by default one; numpy reads this when it is imported.

    The variable says how many threads a backend may use, and one with threads of its own chooses without it. For numpy
    one is enough: results do not depend on the number of cores then, and a busy machine does not stall threads that
    wait for each other (measured: 5 minutes instead of 2 for one run). Variables that are set already stand.
    """
    threads = os.environ.get("ALPHA_THREADS", "1")
    if not threads.isdecimal() or int(threads) == 0:
        raise UsageError(f"`ALPHA_THREADS` is `{threads}`; a number of threads from 1 on is needed")
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, threads)


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Takes `--debug` out, wherever it stands before `--`; `ALPHA_DEBUG=1` is the same for a whole session."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest = [argument for argument in arguments[:end] if argument != "--debug"]
    debug = len(rest) < end or os.environ.get("ALPHA_DEBUG", "0") not in ("", "0")
    return [*rest, *arguments[end:]], debug


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Replaces `warnings.showwarning`: the sentence alone, without the place in the code."""
    say("warning", str(message) if category is UserWarning else f"{category.__name__}: {message}")
