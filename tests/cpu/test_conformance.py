"""`cpu` passes the kit of backends: all of it at the machine's level, single ops and products at lower ones too."""

from typing import ClassVar

import pytest

pytest.importorskip("llvmlite")

from tests.cpu.backends import levels

from alpha_core.backend import Backend
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.target import target_of
from alpha_testkit.backend import BackendConformance
from alpha_testkit.backend_base import BackendTests
from alpha_testkit.backend_ops import OpTests
from alpha_testkit.backend_tuning import TuningTests


class AtLevel(BackendTests, kit=True):
    """Takes `cpu` at a level."""

    level: ClassVar[str]

    def make_backend(self) -> Backend:
        return Cpu(target_of(self.level))


class TestCpu(AtLevel, BackendConformance):
    level = levels()[-1]


# The vectors of these two have other lengths. Levels between them and the highest one differ from it in products only.
for lower in [level for level in levels()[:-1] if level in ("portable", "avx2")]:
    globals()[f"TestOps_{lower}"] = type(f"TestOps_{lower}", (AtLevel, OpTests), {"level": lower})

for lower in levels()[:-1]:
    globals()[f"TestProducts_{lower}"] = type(f"TestProducts_{lower}", (AtLevel, TuningTests), {"level": lower})
