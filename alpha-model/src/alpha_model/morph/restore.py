"""The ways in which a child takes its parent's parameters over."""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_core.errors import UsageError
from alpha_core.suggest import did_you_mean
from alpha_model.gpt import GPT
from alpha_model.morph.axes import Overlap, axes_of, hidden_width, overlaps, same_rows
from alpha_model.morph.grow import grow_problems, grown_config, grown_value, is_silent
from alpha_model.morph.report import RestoreReport
from alpha_model.parameters import ParameterSpec, initial_value

__all__ = ["RESTORE_MODES", "Restored", "check_restore", "child_config", "restore"]

Array = npt.NDArray[Any]

RESTORE_MODES = {
    "exact": "the same model: every parameter is the parent's",
    "prefix": "the first layers, and all that is no layer, of a model of another depth",
    "project": "what overlaps with a model of other sizes or options",
    "grow": "a larger model that computes what its parent does",
}
"""Each with what the child is."""

_FREE = ("dropout",)
"""Settings that change no parameter and no prediction."""


@attrs.frozen(eq=False)
class Restored:
    """The parameters of a child, complete, and where they are from."""

    parameters: Mapping[str, Array]
    report: RestoreReport


def child_config(mode: str, parent: ModelConfig, child: ModelConfig) -> ModelConfig:
    """Returns the child's configuration with what follows from its parent's; only `grow` changes any.

    Raises `UsageError` for an unknown mode.
    """
    if mode not in RESTORE_MODES:
        listed = ", ".join(f"`{name}`" for name in RESTORE_MODES)
        raise UsageError(
            f"there is no way to restore called `{mode}`; there are {listed}", hint=did_you_mean(mode, RESTORE_MODES)
        )
    return grown_config(parent, child) if mode == "grow" else child


def restore(
    mode: str,
    parent: GPT,
    values: Mapping[str, Array],
    child: GPT,
    *,
    seed: int,
    rows: tuple[Array, Array] | None = None,
) -> Restored:
    """Returns the child's parameters, made from its parent's `values` in one of `RESTORE_MODES`.

    `rows` tells which ids of parent and child mean the same token, (N,) each; None means that equal ids do. What the
    parent has not is initialized from `seed`, as in a new model. Raises `UsageError` with every reason, before anything
    is computed, where the two models do not allow the mode.
    """
    check_restore(mode, parent, child, rows)
    shared = overlaps(parent, child, _shared_rows(parent, child, rows))
    parameters: dict[str, Array] = {}
    copied: list[str] = []
    projected: dict[str, float] = {}
    initialized: list[str] = []
    used: set[str] = set()
    for spec in child.parameter_specs:
        source = _source(spec.name, values)
        if source is None:
            parameters[spec.name] = _new(mode, spec, seed)
            initialized.append(spec.name)
            continue
        used.add(source)
        value = values[source]
        old = np.asarray(value, np.float64)
        places = [shared[axis] for axis in axes_of(spec.name)]
        if mode == "grow":
            result = grown_value(spec.name, old, initial_value(spec, seed), shared, parent.config, child.config)
        else:
            result = initial_value(spec, seed)
            result[np.ix_(*(place.here for place in places))] = old[np.ix_(*(place.there for place in places))]
        if result.shape == old.shape and np.array_equal(result, old, equal_nan=True):
            copied.append(spec.name)
            parameters[spec.name] = value
        else:
            parameters[spec.name] = result
            projected[spec.name] = float(np.prod([len(place.here) for place in places])) / max(1, result.size)
    before, after = attrs.asdict(parent.config), attrs.asdict(child.config)
    report = RestoreReport(
        restore=mode,
        copied=tuple(copied),
        projected=projected,
        initialized=tuple(initialized),
        left_out=tuple(name for name in values if name not in used),
        settings={key: after[key] for key in ("norm_eps", "rope_base") if mode == "grow" and before[key] != after[key]},
    )
    return Restored(parameters, report)


def _shared_rows(parent: GPT, child: GPT, rows: tuple[Array, Array] | None) -> Overlap:
    return same_rows(parent.config.vocab_size, child.config.vocab_size) if rows is None else Overlap(*rows)


def _source(name: str, values: Mapping[str, Array]) -> str | None:
    """Returns the parent's parameter that the child's comes from. A new head starts as the tied one was."""
    if name in values:
        return name
    return "wte" if name == "lmHead" else None


def _new(mode: str, spec: ParameterSpec, seed: int) -> Array:
    """Returns the value of a parameter that the parent has not."""
    value = initial_value(spec, seed)
    return np.zeros_like(value) if mode == "grow" and is_silent(spec.name) else value


def check_restore(mode: str, parent: GPT, child: GPT, rows: tuple[Array, Array] | None = None) -> None:
    """Raises `UsageError` with every reason why `restore` could not give the child its parent's parameters."""
    shared = _shared_rows(parent, child, rows)
    if mode == "grow":
        problems = grow_problems(parent, child)
    elif mode == "project":
        problems = [] if len(shared.here) else ["the two vocabularies have no token in common"]
    else:
        free = (*_FREE, "n_layer") if mode == "prefix" else _FREE
        before, after = _facts(parent), _facts(child)
        problems = [
            f"`{key}` is {before[key]} in the parent and would be {after[key]}"
            for key in before
            if key not in free and before[key] != after[key]
        ]
        if parent.activation != child.activation:
            names = f"`{parent.config.activation}` in the parent and would be another, `{child.config.activation}`"
            problems.append(f"the activation is {names}")
    sizes = {len(shared.here), parent.config.vocab_size, child.config.vocab_size}
    same = len(sizes) == 1 and np.array_equal(shared.here, shared.there)
    if mode != "project" and not same:
        problems.append("the tokenizer is another one")
    if problems:
        raise UsageError(
            f"`--restore={mode}` does not fit: {'; '.join(problems)}",
            hint=None if mode == "project" else "`--restore=project` takes over what overlaps",
        )


def _facts(model: GPT) -> dict[str, Any]:
    """Returns what decides shapes and formula of a model but for activation and vocabulary, by setting."""
    facts = {**attrs.asdict(model.config), "ffn_width": hidden_width(model)}
    return {key: value for key, value in facts.items() if key not in ("activation", "vocab_size")}
