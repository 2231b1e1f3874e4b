"""Which kit belongs to which kind of part, and the classes that `alpha plugins check` runs for a plugin."""

from collections.abc import Callable
from typing import Any, ClassVar

from alpha_core.config import DomainConfig
from alpha_core.descriptors import (
    ActivationInfo,
    BackendInfo,
    DomainInfo,
    Info,
    MetricSinkInfo,
    OptimizerInfo,
    ScheduleInfo,
    TokenizerInfo,
)
from alpha_core.errors import AlphaError
from alpha_core.kinds import ACTIVATION, BACKEND, DOMAIN, METRIC_SINK, OPTIMIZER, SCHEDULE, TOKENIZER
from alpha_core.plugins import Plugins
from alpha_testkit.activation import ActivationConformance
from alpha_testkit.backend import BackendConformance
from alpha_testkit.conformance import Conformance
from alpha_testkit.optimizer import OptimizerConformance
from alpha_testkit.schedule import ScheduleConformance
from alpha_testkit.sink import SinkConformance
from alpha_testkit.tokenizer import TokenizerConformance

__all__ = ["kits_of"]


class DomainConformance(Conformance, kit=True):
    """A domain has only to load: its settings are checked when they are read."""

    info: ClassVar[DomainInfo]

    def test_loads(self) -> None:
        """The descriptor gives a `DomainConfig`."""
        assert isinstance(self.info.load(), DomainConfig)


class Unloadable(Conformance, kit=True):
    """Stands for a part that could not be loaded."""

    error: ClassVar[AlphaError]

    def test_loads(self) -> None:
        """Raises the error of the attempt."""
        raise self.error


Namespace = dict[str, Any]


def _backend(info: BackendInfo) -> Namespace:
    backend = info.load()
    compute_dtypes = tuple(backend.compute_dtypes)
    backend.close()
    return {"compute_dtypes": compute_dtypes, "make_backend": lambda self: info.load()}


def _tokenizer(info: TokenizerInfo) -> Namespace:
    return {"tokenizer_class": info.load(), "vocab_size": info.vocab_size, "specials": info.specials}


def _activation(info: ActivationInfo) -> Namespace:
    info.load()  # once now, so that a part that does not load is one failure
    return {"make_expression": lambda self: info.load()}


def _optimizer(info: OptimizerInfo) -> Namespace:
    return {"optimizer_class": info.load(), "settings": dict(info.defaults)}


def _schedule(info: ScheduleInfo) -> Namespace:
    info.load()
    return {"make_schedule": lambda self: info.load()}


def _metric_sink(info: MetricSinkInfo) -> Namespace:
    return {"sink_class": info.load()}


def _domain(info: DomainInfo) -> Namespace:
    return {"info": info}


_KITS: dict[str, tuple[type[Conformance], Callable[[Any], Namespace]]] = {
    BACKEND.name: (BackendConformance, _backend),
    TOKENIZER.name: (TokenizerConformance, _tokenizer),
    ACTIVATION.name: (ActivationConformance, _activation),
    OPTIMIZER.name: (OptimizerConformance, _optimizer),
    SCHEDULE.name: (ScheduleConformance, _schedule),
    METRIC_SINK.name: (SinkConformance, _metric_sink),
    DOMAIN.name: (DomainConformance, _domain),
}


def kits_of(plugins: Plugins, name: str) -> dict[str, type[Conformance]]:
    """Returns a kit for each available part of the plugin `name`, by what messages call the part."""
    return {
        f"{registry.kind.label} `{info.name}`": _kit_for(registry.kind.name, info)
        for registry in plugins.registries
        for info in registry.available()
        if registry.owner(info.name) == name
    }


def _kit_for(kind: str, info: Info) -> type[Conformance]:
    kit, namespace_of = _KITS[kind]
    try:
        namespace = namespace_of(info)
    except AlphaError as error:
        return type(info.name, (Unloadable,), {"error": error})
    return type(info.name, (kit,), namespace)
