"""The knobs of a run: those that change results are stored with it, so that resuming uses the same ones anywhere."""

from collections.abc import Callable, Sequence

import attrs

from alpha_core.backend import Backend
from alpha_core.config import TrainConfig
from alpha_core.errors import UsageError
from alpha_core.knob import check_knob, knob_texts, parse_knobs

__all__ = ["check_knobs", "recorded_knobs", "resumed_knobs", "usable_knobs"]


def check_knobs(config: TrainConfig, backend: Backend) -> None:
    """Raises `UsageError` for a configured knob that the backend has not, or that does not take its value."""
    for name, value in parse_knobs(config.knobs).items():
        check_knob(backend.knobs, name, value, backend.name)


def usable_knobs(config: TrainConfig, backend: Backend) -> TrainConfig:
    """Returns `config` with those knobs alone that the backend has."""
    known = {knob.name for knob in backend.knobs}
    values = parse_knobs(config.knobs)
    return attrs.evolve(config, knobs=knob_texts((name, value) for name, value in values.items() if name in known))


def recorded_knobs(config: TrainConfig, backend: Backend) -> TrainConfig:
    """Returns `config` with every knob of the backend that changes results, at its value now, beside what it had."""
    values = parse_knobs(config.knobs)
    values.update((knob.name, knob.value) for knob in backend.knobs if knob.changes_results)
    return attrs.evolve(config, knobs=knob_texts(values.items()))


def resumed_knobs(
    config: TrainConfig, stored: Sequence[str], backend: Backend, note: Callable[[str], None]
) -> TrainConfig:
    """Returns the configuration of a resumed run, with the `stored` knobs that change results.

    Others may be set anew. Stored knobs that this backend has not are kept, for a backend that has them, and noted.
    Raises `UsageError` for another value of a knob that changes results, and for a new knob that the backend has not.
    """
    known = {knob.name: knob for knob in backend.knobs}
    before, here = parse_knobs(stored), parse_knobs(config.knobs)
    for name in here.keys() - before.keys():
        check_knob(backend.knobs, name, here[name], backend.name)
    kept = {name: value for name, value in before.items() if name not in known or known[name].changes_results}
    for name, value in kept.items():
        if here.get(name, value) != value:
            raise UsageError(
                f"knob `{name}` is `{value}` in this run and cannot become `{here[name]}` when it is resumed: it"
                " changes results",
                hint="start a new run instead",
            )
    foreign = ", ".join(f"`{name}`" for name in kept if name not in known)
    if foreign:
        note(f"backend `{backend.name}` has no {foreign}, with which this run was computed: its results may differ")
    return attrs.evolve(config, knobs=knob_texts({**kept, **here}.items()))
