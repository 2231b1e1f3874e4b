"""Several observers as one."""

from collections.abc import Mapping, Sequence
from typing import Any

from alpha_core.observer import Event, Observer, RunInfo, Sample

__all__ = ["Observers"]


class Observers(Observer):
    """Passes everything on to each observer, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_start(self, run: RunInfo) -> None:
        for observer in self._observers:
            observer.on_start(run)

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        for observer in self._observers:
            observer.on_step(metrics)

    def on_event(self, event: Event) -> None:
        for observer in self._observers:
            observer.on_event(event)

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        for observer in self._observers:
            observer.on_samples(step, samples)

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        for observer in self._observers:
            observer.on_finish(summary)
