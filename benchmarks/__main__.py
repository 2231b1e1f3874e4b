"""The command: `python -m benchmarks SUITE ...` measures, `python -m benchmarks render` writes the page."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from alpha_bench.report import Report, read_report
from alpha_bench.result import Result
from alpha_core.errors import AlphaError, DataError
from benchmarks.contest import Contest
from benchmarks.entrant import Entrant
from benchmarks.peer_environment import ENVIRONMENTS, python_of_peer
from benchmarks.render import PAGE, RESULTS, rendered, table_of
from benchmarks.suites import ALL, SUITES, Options
from benchmarks.worker import Worker, clean_environ

QUICK_ROUNDS, QUICK_SECONDS = 2, 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _render(check=options.check) if options.suites == ["render"] else _measure(options)
    except AlphaError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was measured stands in `*.partial.json` beside the results", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "suites", nargs="+", choices=[*SUITES, "all", "render"], metavar="SUITE", help=", ".join(SUITES)
    )
    parser.add_argument("--out", type=Path, help="folder of the results; that of the checkout, unless --quick")
    parser.add_argument("--text", type=Path, help="tiny Shakespeare, for the suites nanogpt and tokenizer")
    parser.add_argument("--backend", default="cpu", help="Alpha's backend")
    parser.add_argument("--cases", default="", help="measure only cases whose names begin so, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each entrant")
    parser.add_argument("--seconds", type=float, default=1.5, help="least time of a turn")
    parser.add_argument("--quick", action="store_true", help="few and short rounds, never to be published")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where the peers' environments are")
    parser.add_argument(
        "--environment", action="append", default=[], metavar="PEER=FOLDER", help="an environment that is there already"
    )
    parser.add_argument("--check", action="store_true", help="with render: only say whether the page is up to date")
    return parser


def _measure(options: argparse.Namespace) -> int:
    kept = clean_environ()  # so that the reports say of this process what is true of the workers
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    own = dict(named.split("=", 1) for named in options.environment)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def open_worker(entrant: Entrant) -> Worker:
        python, environ = Path(sys.executable), {}
        if entrant.environment is not None:
            peer = entrant.environment
            python = Path(own[peer], "bin/python") if peer in own else python_of_peer(peer, options.environments, tell)
            caches = options.environments / "caches"
            environ = {"TORCHINDUCTOR_CACHE_DIR": str(caches / "torch"), "CACHEDB": str(caches / "tinygrad.db")}
            caches.mkdir(parents=True, exist_ok=True)
        return Worker(entrant, [str(python), "-m", f"benchmarks.peers.{entrant.module}"], environ)

    contest = Contest(
        open=open_worker,
        rounds=QUICK_ROUNDS if options.quick else options.rounds,
        seconds=QUICK_SECONDS if options.quick else options.seconds,
        tell=tell,
    )
    only = tuple(filter(None, options.cases.split(",")))
    chosen = Options(contest=contest, backend=options.backend, text=options.text, only=only, quick=options.quick)
    out: Path | None = options.out or (None if options.quick else RESULTS)
    for name in ALL if "all" in options.suites else options.suites:
        results: list[Result] = []
        command = f"python -m benchmarks {name}" + (" --text=FILE" if options.text else "")
        for found in SUITES[name](chosen):
            results += found
            report = Report.here(command=command, results=results, quick=options.quick)
            if out is not None:  # what is measured is kept, whatever ends the rest
                out.mkdir(parents=True, exist_ok=True)
                report.write(out / f"{name}.partial.json")
        if not results:
            raise DataError(
                f"the suite `{name}` has no case whose name begins with {options.cases}",
                hint="without `--cases` it measures all",
            )
        print(table_of(name, report), flush=True)
        if out is not None:
            path = out / f"{name}.json"
            (_beside_others(report, path) if only else report).write(path)
            (out / f"{name}.partial.json").unlink()
            if out == RESULTS:
                PAGE.write_text(rendered(), encoding="utf-8")
    return 0


def _beside_others(report: Report, path: Path) -> Report:
    """Returns a report of some cases with the others that stand in a file, of the same commit on the same machine."""
    if not path.exists():
        return report
    before, new = read_report(path), {result.id for result in report.results}
    if (before.commit, before.machine) != (report.commit, report.machine):
        return report
    kept = [result for result in before.results if result.id not in new]
    return attrs.evolve(report, results=[*kept, *report.results])


def _render(*, check: bool) -> int:
    page = rendered()
    if not check:
        PAGE.write_text(page, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page:
        print("error: `docs/benchmarks.md` is not up to date: run `python -m benchmarks render`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
