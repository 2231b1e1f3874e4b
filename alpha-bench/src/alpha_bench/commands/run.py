"""`alpha bench run`, which is also plain `alpha bench`."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alpha_core.command import CommandApp
from alpha_core.errors import AlphaError, UsageError
from alpha_core.plugins import Plugins

if TYPE_CHECKING:
    from alpha_bench.report import Report
    from alpha_bench.result import Result
    from alpha_bench.session import Session

__all__ = ["add_run"]

_EXAMPLES = (
    "alpha bench --suite=gemm --backend=cpu",
    "alpha bench --suite=train --case='6x256*' --precision=f32",
    "alpha bench --suite=all --json --out=bench.json",
    "alpha bench --suite=tokenizer --data=shakespeare.txt",
    "alpha bench --suite=infer --list",
)


def add_run(app: CommandApp) -> None:
    """Adds the command `run`, the default of the group."""

    @app.command(
        "run",
        help="Measures suites of cases: ops, gemm, attn, train, e2e, infer, tokenizer, data, or all.\n\nEach case is"
        " warmed up and measured several times, waiting for the device. The result is a table, or one JSON document"
        " with machine, versions, commit, ceilings and every sample.",
        examples=_EXAMPLES,
        default=True,
    )
    def run(
        *,
        suite: Annotated[str, "Suites, separated by commas, or `all`."] = "all",
        backend: Annotated[str, "Backend that computes; `auto` takes the best one available."] = "auto",
        case: Annotated[str | None, "Only cases whose `id` or `suite/id` matches this glob."] = None,
        precision: Annotated[str, "Precisions of products, separated by commas."] = "f32,bf16",
        knobs: Annotated[str, "What the backend is tuned with, such as `threads=2,chunk=256`."] = "",
        data: Annotated[str | None, "Text for e2e, tokenizer and data; else the standard library of Python."] = None,
        quick: Annotated[bool, "Shrink every case, to see that it runs; the figures say nothing."] = False,
        list_: Annotated[bool, "List the cases and measure none."] = False,
        json: Annotated[bool, "Print the JSON document."] = False,
        out: Annotated[Path | None, "Write the JSON document into this file."] = None,
    ) -> None:
        from alpha_bench.runner import select_cases
        from alpha_bench.suites import suites_of

        names = suites_of(suite)
        with _session(app.plugins, backend, precision, knobs, data, quick=quick) as session:
            if list_:
                for cases in select_cases(names, session, case).values():
                    print("\n".join(f"{found.suite}/{found.id}" for found in cases))
                return
            if out is not None and not out.absolute().parent.is_dir():
                raise UsageError(f"`--out={out}`: there is no folder `{out.parent}`")
            report = _measure(names, session, case)
        if out is not None:
            report.write(out)
        _print(report, json=json)
        failed = [result for result in report.results if result.status == "failed"]
        if failed:
            raise AlphaError(f"{len(failed)} of {len(report.results)} cases failed: {_some(failed)}")


def _session(plugins: Plugins, backend: str, precision: str, knobs: str, data: str | None, *, quick: bool) -> "Session":
    from alpha_bench.measure import Effort
    from alpha_bench.session import PRECISIONS, Session

    precisions = [name.strip() for name in precision.split(",")]
    for name in precisions:
        if name not in PRECISIONS:
            raise UsageError(f"`--precision={precision}`: `{name}` is none of {', '.join(PRECISIONS)}")
    return Session(
        plugins,
        backend_name=backend,
        effort=Effort.quick_look() if quick else Effort(),
        knobs=[text.strip() for text in knobs.split(",") if text.strip()],
        precisions=precisions,
        data=data,
    )


def _measure(names: Sequence[str], session: "Session", pattern: str | None) -> "Report":
    from alpha_bench.ceilings import measure_ceilings
    from alpha_bench.machine import load_average
    from alpha_bench.report import BackendFacts, Report
    from alpha_bench.runner import run_suites, select_cases
    from alpha_bench.suites import suite_named
    from alpha_bench.text import result_line

    chosen = [suite_named(name) for name, cases in select_cases(names, session, pattern).items() if cases]
    load = load_average()
    backend = BackendFacts.of(session.backend) if any(suite.needs_backend for suite in chosen) else None
    ceilings = None
    if any(suite.needs_ceilings for suite in chosen):
        _say("measuring the ceilings")
        ceilings = measure_ceilings(session)
    results = run_suites(
        names, session, pattern=pattern, ceilings=ceilings, on_result=lambda result: _say(result_line(result))
    )
    return Report.here(
        command=shlex.join(["alpha", *sys.argv[1:]]),
        results=results,
        backend=backend,
        quick=session.quick,
        load=load,
        ceilings=ceilings,
    )


def _print(report: "Report", *, json: bool) -> None:
    if json:
        print(report.to_text())
        return
    from alpha_bench.text import report_lines

    print("\n".join(report_lines(report)))


def _some(results: "list[Result]") -> str:
    shown = ", ".join(f"`{result.suite}/{result.id}`" for result in results[:3])
    return shown if len(results) <= 3 else f"{shown}, ..."


def _say(text: str) -> None:
    """Progress goes to standard error, so that standard output stays data."""
    print(text, file=sys.stderr, flush=True)
