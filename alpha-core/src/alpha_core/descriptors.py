"""What hooks return: frozen descriptions of parts, never the parts themselves, so that listing is cheap and safe.

`load` imports and returns the part; it runs only when the part is used. `unavailable` says in one line why the part
cannot be used on this machine, or returns None, and must not open devices or files.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from alpha_core.backend import Backend
    from alpha_core.config import DomainConfig
    from alpha_core.expression import Expression
    from alpha_core.observer import MetricSink
    from alpha_core.optimizer import Optimizer
    from alpha_core.schedule import Schedule
    from alpha_core.tokenizer import Tokenizer

__all__ = [
    "ActivationInfo",
    "BackendInfo",
    "DomainInfo",
    "Info",
    "MetricSinkInfo",
    "OptimizerInfo",
    "ScheduleInfo",
    "TokenizerInfo",
]


def _available() -> str | None:
    return None


@attrs.frozen(kw_only=True)
class Info:
    """What every kind of part has: a name that is unique in its kind, a one-line summary, and a way to get it."""

    name: str
    summary: str
    load: Callable[[], Any]
    unavailable: Callable[[], str | None] = _available


@attrs.frozen(kw_only=True)
class BackendInfo(Info):
    """A backend; `load()` opens it. Among available backends, `auto` takes the highest `priority` not `unsuited`.

    `unsuited` says in one line why `auto` should pass over a backend that does run here, such as one for GPUs on a
    machine with none but a software device, or returns None. It is asked when `auto` gets that far down, never by a
    listing, so it may ask the system for its devices. `load_planner` opens a backend that records programs and never
    runs one, also on machines where `load` cannot: `alpha plan` takes it.
    """

    load: "Callable[[], Backend]"
    priority: int = 0
    unsuited: Callable[[], str | None] = _available
    load_planner: "Callable[[], Backend] | None" = None


@attrs.frozen(kw_only=True)
class TokenizerInfo(Info):
    """A tokenizer class with the vocabulary size and specials that this name stands for (`bpe-4k`, `bpe-chat`)."""

    load: "Callable[[], type[Tokenizer]]"
    vocab_size: int | None = None
    specials: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ActivationInfo(Info):
    """An activation: `load()` returns its expression. `gated` makes the MLP `act(gate(x)) * up(x)` (GLU variants)."""

    load: "Callable[[], Expression]"
    gated: bool = False


@attrs.frozen(kw_only=True)
class OptimizerInfo(Info):
    """An optimizer class. `defaults` are its usual training settings (keys of `TrainConfig`).

    `load_config` lays them over the built-in defaults and beneath every other source, when this optimizer is chosen.
    """

    load: "Callable[[], type[Optimizer]]"
    defaults: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class ScheduleInfo(Info):
    """A learning-rate schedule: `load()` returns the function of the step."""

    load: "Callable[[], Schedule]"


@attrs.frozen(kw_only=True)
class MetricSinkInfo(Info):
    """A metric sink class; one instance is made for a run, and has `finish_seconds` for what waits at its end."""

    load: "Callable[[], type[MetricSink]]"
    finish_seconds: float = 10.0


@attrs.frozen(kw_only=True)
class DomainInfo(Info):
    """A preset for one kind of text: `load()` returns its settings and prompts."""

    load: "Callable[[], DomainConfig]"
