"""Backends that go wrong in one way each; a plugin, which the tests install for real processes."""

import os
import signal
import time
from typing import Any

from alpha_core.descriptors import BackendInfo
from alpha_core.hookspecs import hookimpl
from alpha_core.knob import Knob
from alpha_core.tensor import Tensor
from alpha_tensor import CpuRef


class _CountsUpdates(CpuRef):
    """Calls `on_update` before each update of the parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.updates = 0

    def adamw_update(self, *arguments: Any, **settings: Any) -> None:
        self.updates += 1
        self.on_update()
        super().adamw_update(*arguments, **settings)

    def on_update(self) -> None:
        pass


class Dies(_CountsUpdates):
    name = "dies"

    def on_update(self) -> None:
        if self.updates == 5:
            os.kill(os.getpid(), signal.SIGKILL)


class Hangs(_CountsUpdates):
    name = "hangs"

    def on_update(self) -> None:
        time.sleep(60)


class Shaky(_CountsUpdates):
    """Its optimizer takes 2, then 30 ms, and so on."""

    name = "shaky"

    def on_update(self) -> None:
        time.sleep(0.002 if self.updates // 2 % 2 else 0.030)


class Wrong(CpuRef):
    """Its products are 2% too large."""

    name = "wrong"

    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        return self.mul(super().matmul(a, b, transpose_a, transpose_b), 1.02)


class NotFinite(CpuRef):
    name = "not_finite"

    def cross_entropy(self, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        return self.mul(super().cross_entropy(logits, targets, ignore_index), float("nan"))


class Paced(_CountsUpdates):
    """A knob decides how long an update takes; at its highest value the results are wrong, though fastest."""

    name = "paced"

    def __init__(self) -> None:
        super().__init__()
        self.pace = 1

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return (Knob("pace", "How fast it goes.", self.pace, (1, 2, 3), False),)

    def set_knob(self, name: str, value: int) -> None:
        super().set_knob(name, value)
        self.pace = value

    def on_update(self) -> None:
        time.sleep({1: 0.05, 2: 0.01, 3: 0.0}[self.pace])

    def cross_entropy(self, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        losses = super().cross_entropy(logits, targets, ignore_index)
        return self.mul(losses, float("inf")) if self.pace == 3 else losses


@hookimpl
def register_backends() -> list[BackendInfo]:
    kinds = (Dies, Hangs, Shaky, Wrong, NotFinite, Paced)
    return [BackendInfo(name=kind.name, summary="misbehaves", load=kind, priority=-1) for kind in kinds]
