"""Runs the cases of suites: each in this process or in one of its own, one after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import attrs

from alpha_bench.case import Case, CaseSkippedError
from alpha_bench.ceilings import Ceilings, with_roofline
from alpha_bench.child import run_in_child
from alpha_bench.gauge import gauge
from alpha_bench.measure import measure
from alpha_bench.memory import peak_bytes
from alpha_bench.result import FAILED, SKIPPED, Result
from alpha_bench.session import Session
from alpha_bench.suites import suite_named
from alpha_core.errors import AlphaError, UsageError
from alpha_core.plugins import Plugins

__all__ = ["run_suites", "select_cases", "serve_case"]

_LONGEST_CASE = 3600.0
"""Seconds that a case in a process of its own may take."""
_GAUGES = 5
"""Samples of the gauge before, and as many after a case."""


def select_cases(names: Sequence[str], session: Session, pattern: str | None = None) -> dict[str, list[Case]]:
    """Returns the cases of suites by suite, those whose `suite/id` or `id` matches `pattern` (a glob).

    Raises `UnknownNameError` for a suite that does not exist, and `UsageError` if nothing matches.
    """
    chosen = {
        name: [case for case in suite_named(name).cases(session) if _matches(case, pattern)]
        for name in dict.fromkeys(names)
    }
    if not any(chosen.values()):
        raise UsageError(
            f"no case matches `{pattern}`", hint="`--list` shows the cases; a pattern is a glob such as `6x256*`"
        )
    return chosen


def run_suites(
    names: Sequence[str],
    session: Session,
    *,
    pattern: str | None = None,
    ceilings: Ceilings | None = None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Returns the results of all cases, failed and skipped ones too. `on_result` is told of each as it comes."""
    results: list[Result] = []
    for name, cases in select_cases(names, session, pattern).items():
        measured = []
        for case in cases:
            result = _gauged(case, session)
            if ceilings is not None:
                result = with_roofline(result, ceilings)
            on_result(result)
            measured.append(result)
        results += suite_named(name).finish(measured)
    return results


def serve_case(plugins: Plugins, request: Mapping[str, Any]) -> dict[str, Any]:
    """The task `case`: runs one case here."""
    with Session.from_json(plugins, request["session"]) as session:
        cases = suite_named(request["suite"]).cases(session)
        (case,) = (case for case in cases if case.id == request["id"])
        return _run_here(case, session).to_json()


def _gauged(case: Case, session: Session) -> Result:
    """Runs a case between two looks at the gauge, which is not in a case's own process: it takes memory."""
    before = {} if session.quick else gauge(_GAUGES)
    result = _run_alone(case, session) if case.alone else _run_here(case, session)
    after = {} if session.quick else gauge(_GAUGES)
    return attrs.evolve(result, gauge={name: [*samples, *after[name]] for name, samples in before.items()})


def _run_alone(case: Case, session: Session) -> Result:
    request = {"suite": case.suite, "id": case.id, "session": session.to_json()}
    answer = run_in_child("case", request, timeout=_LONGEST_CASE)
    if answer.value is None:
        return _without_samples(case, FAILED, answer.reason or "it gave no answer")
    return Result.from_json(answer.value)


def _run_here(case: Case, session: Session) -> Result:
    before = peak_bytes()
    try:
        work = case.prepare(session)
        timing = measure(work.run, session.effort.heavy() if case.heavy else session.effort)
        extra = dict(work.extra())
    except CaseSkippedError as error:
        return _without_samples(case, SKIPPED, error.message)
    except (AlphaError, MemoryError) as error:
        return _without_samples(case, FAILED, error.message if isinstance(error, AlphaError) else "out of memory")
    except Exception as error:  # noqa: BLE001 - one case that fails must not end the others
        return _without_samples(case, FAILED, f"{type(error).__name__}: {error}")
    if case.alone:
        extra["memory_before_bytes"] = before
    if timing.warmup:
        extra["first_seconds"] = timing.first / work.inner
    return Result.of(
        suite=case.suite,
        id=case.id,
        parameters=case.parameters,
        samples=[sample / work.inner for sample in timing.samples],
        warmup=timing.warmup,
        calls=timing.calls * work.inner,
        work=work.work,
        flops=work.flops,
        bytes=work.bytes,
        extra=extra,
        memory_peak_bytes=peak_bytes() if case.alone else None,
    )


def _without_samples(case: Case, status: str, reason: str) -> Result:
    return Result(suite=case.suite, id=case.id, parameters=case.parameters, status=status, reason=reason)


def _matches(case: Case, pattern: str | None) -> bool:
    return pattern is None or any(fnmatchcase(name, pattern) for name in _names(case))


def _names(case: Case) -> Iterator[str]:
    yield case.id
    yield f"{case.suite}/{case.id}"
