"""The suites: a file each, with a table of cases."""

from collections.abc import Sequence
from importlib import import_module

from alpha_bench.case import Suite
from alpha_core.errors import UnknownNameError
from alpha_core.suggest import did_you_mean

__all__ = ["ALL", "SUITES", "suite_named", "suites_of"]

SUITES = ("ops", "gemm", "attn", "train", "e2e", "infer", "tokenizer", "data")
ALL = "all"


def suite_named(name: str) -> Suite:
    """Returns a suite. Raises `UnknownNameError` if there is none of that name."""
    if name not in SUITES:
        known = (*SUITES, ALL)
        raise UnknownNameError(
            f"there is no suite `{name}`; there are {', '.join(f'`{known_name}`' for known_name in known)}",
            hint=did_you_mean(name, known),
        )
    suite: Suite = import_module(f"alpha_bench.suites.{name}").SUITE
    return suite


def suites_of(text: str) -> Sequence[str]:
    """Returns the names that a text with commas means; `all` is all of them."""
    names = [name.strip() for name in text.split(",")]
    chosen = [known for name in names for known in (SUITES if name == ALL else (name,))]
    for name in chosen:
        suite_named(name)
    return list(dict.fromkeys(chosen))
