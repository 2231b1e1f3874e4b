"""`alpha bench compare`."""

import json as json_format
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.errors import AlphaError, UsageError

__all__ = ["add_compare"]

_EXAMPLES = (
    "alpha bench compare before.json after.json",
    "alpha bench compare before.json after.json --fail-on-slower --floor=0.05",
)


def add_compare(app: CommandApp) -> None:
    """Adds the command `compare`."""

    @app.command(
        "compare",
        help="Compares two measurements case by case.\n\nFor each case: the second median as a multiple of the first,"
        " its bootstrap interval, and a verdict: faster, slower, no difference seen, or not comparable and why.",
        examples=_EXAMPLES,
    )
    def compare(
        first: Annotated[Path, "What `alpha bench --out` wrote."],
        second: Annotated[Path, "What it wrote later."],
        /,
        *,
        floor: Annotated[float, "Differences below this share are noise, however steady they look."] = 0.03,
        fail_on_slower: Annotated[bool, "End with code 1 if a case is slower, or nothing is comparable."] = False,
        json: Annotated[bool, "Print one JSON object."] = False,
    ) -> None:
        from alpha_bench.compare import Verdict, compare_reports
        from alpha_bench.report import read_report
        from alpha_bench.text import comparison_lines

        if not 0 <= floor < 1:
            raise UsageError(f"`--floor` is a share, at least 0 and below 1, not `{floor:g}`")
        a, b = read_report(first), read_report(second)
        found = compare_reports(a, b, floor=floor)
        if json:
            cases = [row.to_json() for row in found]
            print(json_format.dumps({"first": str(first), "second": str(second), "floor": floor, "cases": cases}))
        else:
            print("\n".join(comparison_lines(found)))
        verdicts = [row.comparison.verdict for row in found]
        if fail_on_slower and Verdict.slower in verdicts:
            raise AlphaError(f"{verdicts.count(Verdict.slower)} of {len(verdicts)} cases are slower")
        if fail_on_slower and all(verdict is Verdict.unknown for verdict in verdicts):
            raise AlphaError("no case is comparable, so nobody knows whether one is slower")
