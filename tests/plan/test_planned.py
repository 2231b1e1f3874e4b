"""The memory of a backend that plans it, asked for without training."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import pytest

from alpha_core.config import ModelConfig, RunConfig, TrainConfig
from alpha_core.dtype import DType
from alpha_core.errors import BackendError, UsageError
from alpha_core.knob import Knob
from alpha_core.program import Program
from alpha_core.tensor import Shape, Tensor
from alpha_model import Activation
from alpha_tensor import CpuRef
from alpha_train.optimizers.adamw import AdamW
from alpha_train.plan import Plan, plan
from alpha_train.plan_text import plan_lines
from alpha_train.plan_warnings import plan_warnings
from alpha_train.planned_memory import process_bytes

MODEL = ModelConfig(vocab_size=50, block_size=8, n_layer=2, n_embd=16, n_head=2)
LARGE = ModelConfig(vocab_size=400_000, block_size=8, n_layer=1, n_embd=256, n_head=2)


class PlannedProgram(Program):
    def __init__(self, name: str, inputs: Sequence[Any], additive: bool, peak: int, count: int | None) -> None:
        super().__init__(name, inputs, additive=additive)
        self._peak, self._count = peak, count

    @property
    def dispatches(self) -> int | None:
        return self._count

    @property
    def peak_bytes(self) -> int:
        return self._peak

    def _run(self, inputs: Sequence[Any]) -> list[Tensor]:
        raise AssertionError("a plan runs nothing")


class Planner(CpuRef):
    """Records by going through the step once; its programs keep every result, one beside the other."""

    name = "planner"
    description = "planner of tests"
    lanes = 1
    looks = True
    """Whether it goes through steps, which computes them."""
    counts: int | None = None
    """What its programs say they start."""

    def __init__(self) -> None:
        self.counted: int | None = None
        self.uploaded = 0

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return (Knob("lanes", "Parts of a batch.", self.lanes, (1, 2, 4), changes_results=True),)

    def set_knob(self, name: str, value: int) -> None:
        super().set_knob(name, value)
        self.lanes = value

    def upload(self, array: Any, dtype: DType | None = None) -> Tensor:
        self.uploaded += array.size
        return super().upload(array, dtype)

    def zeros(self, shape: Shape, dtype: DType = DType.f32) -> Tensor:
        return self._tensor(np.zeros(shape, dtype.numpy), dtype)

    def assign(self, destination: Tensor, source: Tensor) -> None:
        if self.counted is None:
            super().assign(destination, source)

    def record(
        self, function: Callable[..., Sequence[Tensor]], example_inputs: Sequence[Any], *, name: str, **options: Any
    ) -> Program:
        self.counted = 0
        if self.looks:
            function(*(super(Planner, self).upload(array) for array in example_inputs))
        peak, self.counted = self.counted * self.lanes, None
        return PlannedProgram(name, example_inputs, options.get("additive", False), peak, self.counts)

    def _tensor(self, values: Any, dtype: DType) -> Tensor:
        tensor = super()._tensor(values, dtype)
        if self.counted is not None:
            self.counted += tensor.nbytes
        return tensor


def make_plan(backend: CpuRef, model: ModelConfig = MODEL, **train: object) -> Plan:
    config = RunConfig(model=model, train=TrainConfig(**{"batch_size": 4, **train}))  # type: ignore[arg-type]
    return plan(config, Activation.builtin(model.activation), AdamW(config.train), backend=backend)


def test_the_programs_of_training_are_planned_and_none_is_run() -> None:
    backend = Planner()
    made = make_plan(backend)
    assert made.planned is not None
    assert set(made.planned.programs) == {"accumulate", "update", "evaluate"}
    accumulate, evaluate = made.planned.programs["accumulate"], made.planned.programs["evaluate"]
    assert accumulate > 2 * evaluate > 0
    assert made.planned.tensors == 4 * 4 * made.parameter_count
    assert backend.uploaded < 1000, "no initial weights are made"
    assert made.planned.checkpoint == 3 * 4 * made.parameter_count  # weights and two moments
    beside = made.planned.checkpoint + (made.planned.process or 0)
    parts = made.planned.tensors + sum(made.planned.programs.values()) + beside
    assert made.peak_bytes == made.planned.peak == parts
    twice = make_plan(Planner(), batch_size=8).planned
    assert twice is not None
    assert 1.8 < twice.programs["evaluate"] / evaluate < 2.2


def test_knobs_and_precision_are_those_of_the_run() -> None:
    plain, wide = make_plan(Planner()).planned, make_plan(Planner(), knobs=("lanes=4",)).planned
    assert plain is not None
    assert wide is not None
    assert wide.programs["accumulate"] == 4 * plain.programs["accumulate"]
    with pytest.raises(UsageError, match="has no knob `lane`"):
        make_plan(Planner(), knobs=("lane=4",))
    single = type("Single", (Planner,), {"compute_dtypes": (DType.f32,)})()
    with pytest.raises(BackendError, match="does not compute in f64"):
        make_plan(single, precision="f64")


def test_tensors_that_nobody_touches_take_no_memory() -> None:
    before = process_bytes()
    if before is None:
        pytest.skip("this system does not tell how much memory a process has")
    backend = Planner()
    backend.looks = False
    made = make_plan(backend, LARGE)
    assert made.planned is not None
    assert made.planned.tensors > 3e9
    after = process_bytes()
    assert after is not None
    assert after - before < 1e8
    assert made.planned.process == pytest.approx(before, rel=0.3)


def test_a_backend_without_plans_leaves_the_estimate() -> None:
    made = make_plan(CpuRef())
    assert made.planned is None
    assert made.peak_bytes == made.memory.peak
    assert made.to_json()["plannedMemoryBytes"] is None
    assert any("estimated for the reference backend" in line for line in plan_lines(made))


def test_the_text_says_what_is_exact_and_the_warning_is_about_the_plan() -> None:
    made = make_plan(Planner())
    text = "\n".join(plan_lines(made))
    assert "memory in f32 on planner of tests (exact, but for the process)" in text
    assert "program `accumulate`" in text
    planned = attrs.evolve(made, planned=attrs.evolve(made.planned, programs={"accumulate": 2**40}))
    assert any("training needs about 1 TiB" in warning for warning in plan_warnings(planned, machine_bytes=2**35))
    assert planned.to_json()["plannedMemoryBytes"]["programs"] == {"accumulate": 2**40}


class Separate(Planner):
    """Has memory of its own."""

    in_host_memory = False
    counts = 1234

    @property
    def memory_bytes(self) -> int:
        return 2**20


def test_the_memory_of_a_device_is_apart_from_that_of_the_host() -> None:
    made = make_plan(Separate())
    planned = made.planned
    assert planned is not None
    assert planned.peak == made.peak_bytes == planned.tensors + sum(planned.programs.values())
    assert planned.host == planned.checkpoint + (planned.process or 0)
    text = "\n".join(plan_lines(made))
    assert "device memory in f32 on planner of tests (exact)\n" in text
    assert re.search(r"  program `accumulate` +\S+ [KM]iB, 1,234 dispatches\n", text)
    assert re.search(r"  at most +\S+ [KM]iB of 1 MiB\nmemory of the host\n  checkpoint ", text)
    assert planned.to_json()["dispatches"] == dict.fromkeys(planned.programs, 1234)
    assert (planned.to_json()["onHost"], planned.to_json()["available"]) == (False, 2**20)
    assert plan_warnings(made, machine_bytes=1) == plan_warnings(made)  # the host's memory is not what is needed
    large = attrs.evolve(made, planned=attrs.evolve(planned, programs={"accumulate": 2**30}))
    assert any("about 1 GiB, and the device has 1 MiB: lower" in warning for warning in plan_warnings(large))


def test_a_backend_that_counts_no_dispatches_has_none() -> None:
    made = make_plan(Planner())
    assert made.planned is not None
    assert made.planned.dispatches == {}
    assert "dispatches" not in "\n".join(plan_lines(made))
    assert CpuRef().record(list, [], name="nothing").dispatches is None
