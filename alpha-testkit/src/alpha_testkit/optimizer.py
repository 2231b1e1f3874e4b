"""The conformance kit of optimizers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.config import TrainConfig
from alpha_core.dtype import DType
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_core.tensor import Shape, Tensor
from alpha_testkit.compare import assert_same_bits
from alpha_testkit.conformance import each
from alpha_testkit.journal import Journal
from alpha_testkit.uses_backend import UsesBackend

__all__ = ["OptimizerConformance"]

Array = npt.NDArray[Any]

SHAPES: dict[str, dict[str, Shape]] = {
    "matrix": {"layer.0.weight": (5, 7), "layer.1.weight": (8, 3), "layer.2.weight": (1, 4)},
    "embedding": {"token.weight": (9, 4)},
    "vector": {"norm.weight": (7,), "norm.bias": (1,)},
}


class OptimizerConformance(UsesBackend, kit=True):
    """Holds an optimizer to the contract of `alpha_core.optimizer.Optimizer`.

    ```python
    class TestMyOptimizer(OptimizerConformance):
        optimizer_class = MyOptimizer
    ```
    """

    optimizer_class: ClassVar[type[Optimizer]]
    settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of `TrainConfig` under which the optimizer is tested."""
    learning_rate: ClassVar[float] = 0.03125
    """From which, or from eight times which, a small quadratic is minimized."""

    def make_optimizer(self) -> Optimizer:
        """Returns a new optimizer: by default the class with `settings`."""
        return self.optimizer_class(TrainConfig(**self.settings))

    @each(lambda kit: {kind: kind for kind in SHAPES})
    def test_slots(self, case: str) -> None:
        """Slots are shapes, asked for twice the same, and the same names for all parameters of one kind."""
        optimizer = self.make_optimizer()
        names = set()
        for name, shape in SHAPES[case].items():
            slots = optimizer.slots(name, shape, case)
            assert slots == optimizer.slots(name, shape, case)
            assert all(type(length) is int and length >= 0 for slot in slots.values() for length in slot)
            names.add(tuple(slots))
        assert len(names) == 1

    def test_step_values(self) -> None:
        """Step values are finite floats, always as many, and a pure function of the step and the learning rate."""
        optimizer, steps = self.make_optimizer(), (1, 2, 3, 10, 1000, 10**6)
        values = [optimizer.step_values(step, 0.25) for step in steps]
        assert len({len(row) for row in values}) == 1
        assert all(math.isfinite(value) for row in values for value in row)
        assert [optimizer.step_values(step, 0.25) for step in reversed(steps)] == values[::-1]

    @each(lambda kit: {kind: kind for kind in SHAPES})
    def test_minimizes_a_quadratic(self, case: str) -> None:
        """In 200 steps at a falling rate, |p - target|^2 falls below a hundredth of what it was."""
        generator = np.random.default_rng(1)
        targets = [generator.standard_normal(shape) for shape in SHAPES[case].values()]
        shares = []
        for learning_rate in (self.learning_rate, 8 * self.learning_rate):  # optimizers differ in what suits them
            state = _State(self.backend, self.make_optimizer(), case)
            start = state.distance(targets)
            for step in range(1, 201):
                state.set_gradients([p - target for p, target in zip(state.parameter_arrays(), targets, strict=True)])
                state.update(step, learning_rate * (1 - step / 200))
            shares.append(state.distance(targets) / start)
        assert min(shares) < 0.01, f"what is left of |p - target|^2 at either learning rate: {shares}"

    @each(lambda kit: {"nan": np.nan, "infinity": np.inf, "finite": 1.0})
    def test_skipped_step(self, case: float) -> None:
        """With `apply` 0 neither parameters nor state change, whatever the gradients are."""
        for kind, shapes in SHAPES.items():
            state = _State(self.backend, self.make_optimizer(), kind)
            self._warm_up(state)
            before = state.arrays()
            state.set_gradients([np.full(shape, case) for shape in shapes.values()])
            state.update(4, self.learning_rate, apply=0.0)
            _assert_same(f"after a skipped step of kind `{kind}`", state.arrays(), before)

    def test_determinism(self) -> None:
        """Two optimizers with the same gradients make the same bits."""
        states = [_State(self.backend, self.make_optimizer(), "matrix") for _ in range(2)]
        for state in states:
            self._warm_up(state)
        _assert_same("the second time", states[1].arrays(), states[0].arrays())

    def test_state_is_complete(self) -> None:
        """A new optimizer with the same slots continues exactly: nothing is remembered elsewhere."""
        running = _State(self.backend, self.make_optimizer(), "matrix")
        self._warm_up(running)
        resumed = _State(self.backend, self.make_optimizer(), "matrix")
        resumed.restore(running.arrays())
        for state in (running, resumed):
            self._warm_up(state, first_step=4)
        _assert_same("after resuming", resumed.arrays(), running.arrays())

    def test_gradient_scale(self) -> None:
        """Only gradient times `gradient_scale` counts: gradients 8 times as large at an eighth of the scale, equal."""
        states = [_State(self.backend, self.make_optimizer(), "matrix") for _ in range(2)]
        self._warm_up(states[0])
        self._warm_up(states[1], factor=8.0)
        for got, want in zip(states[1].arrays(), states[0].arrays(), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)

    @each(lambda kit: {kind: kind for kind in SHAPES})
    def test_weight_decay(self, case: str) -> None:
        """With gradients of zero, weight decay leaves parameters alone or shrinks them, and never past zero."""
        for decay in (0.0, 0.5):
            state = _State(self.backend, self.make_optimizer(), case, weight_decay=decay)
            before = state.parameter_arrays()
            state.set_gradients([np.zeros(shape) for shape in SHAPES[case].values()])
            state.update(1, self.learning_rate)
            for old, new in zip(before, state.parameter_arrays(), strict=True):
                if decay == 0.0:
                    np.testing.assert_array_equal(new, old)
                assert (np.abs(new) <= np.abs(old)).all()
                assert (new * old >= 0).all()

    def test_recorded(self) -> None:
        """An update that was recorded once serves every step: all that changes comes in tensors."""
        recorded, called = (_State(self.backend, self.make_optimizer(), "matrix") for _ in range(2))
        count = len(recorded.scalars(1, self.learning_rate, 1.0, 1.0))

        def function(*scalars: Tensor) -> Sequence[Tensor]:
            recorded.apply(scalars)
            return []

        program = self.backend.record(function, [np.zeros((), np.float32)] * count, name="update")
        generator = np.random.default_rng(2)
        for step in range(1, 6):
            gradients = [generator.standard_normal(shape) for shape in SHAPES["matrix"].values()]
            scalars = recorded.scalars(step, self.learning_rate / step, 0.5 / step, float(step != 3))
            for state in (recorded, called):
                state.set_gradients(gradients)
            program(*scalars)
            called.apply([self.backend.upload(scalar) for scalar in scalars])
            _assert_same(f"after recorded step {step}", recorded.arrays(), called.arrays())

    def test_update_is_recordable(self) -> None:
        """Every step is the same sequence of ops on the same tensors, with the same numbers, and downloads nothing."""
        state = _State(self.backend, self.make_optimizer(), "matrix")
        journals = [Journal(self.backend) for _ in range(3)]
        for step, journal in enumerate(journals, start=1):
            scalars = state.scalars(step, self.learning_rate / step, 0.5 / step, float(step != 2))
            state.backend = journal
            state.apply([self.backend.upload(scalar) for scalar in scalars])
        assert journals[1].entries == journals[0].entries
        assert journals[2].entries == journals[0].entries
        assert not {"upload", "download"} & {op for op, _ in journals[0].entries}

    def test_no_parameters(self) -> None:
        """A group without parameters is updated without an error."""
        state = _State(self.backend, self.make_optimizer(), "matrix")
        state.group = attrs.evolve(
            state.group, names=[], parameters=[], gradients=[], state={slot: [] for slot in state.group.state}
        )
        state.update(1, self.learning_rate)

    def _warm_up(self, state: "_State", first_step: int = 1, factor: float = 1.0) -> None:
        """Makes three steps with gradients that depend on the step alone."""
        for step in range(first_step, first_step + 3):
            generator = np.random.default_rng(step)
            state.set_gradients([factor * generator.standard_normal(p.shape) for p in state.group.parameters])
            state.update(step, self.learning_rate, scale=0.5 / factor)


class _State:
    """Parameters of one kind with gradients and optimizer state, as a trainer holds them."""

    def __init__(self, backend: Backend, optimizer: Optimizer, kind: str, weight_decay: float = 0.0) -> None:
        generator = np.random.default_rng(0)
        self.backend, self.optimizer = backend, optimizer
        slots: dict[str, list[Tensor]] = {}
        for name, shape in SHAPES[kind].items():
            for slot, slot_shape in optimizer.slots(name, shape, kind).items():
                slots.setdefault(slot, []).append(backend.zeros(slot_shape))
        shapes = SHAPES[kind].values()
        self.group = ParameterGroup(
            kind=kind,
            weight_decay=weight_decay,
            names=list(SHAPES[kind]),
            parameters=[backend.upload(generator.standard_normal(shape), DType.f32) for shape in shapes],
            gradients=[backend.zeros(shape) for shape in shapes],
            state=slots,
        )

    @property
    def tensors(self) -> list[Tensor]:
        return [*self.group.parameters, *(tensor for slot in self.group.state.values() for tensor in slot)]

    def arrays(self) -> list[Array]:
        return [self.backend.download(tensor) for tensor in self.tensors]

    def restore(self, arrays: Sequence[Array]) -> None:
        for tensor, array in zip(self.tensors, arrays, strict=True):
            self.backend.assign(tensor, self.backend.upload(array))

    def parameter_arrays(self) -> list[Array]:
        return [self.backend.download(parameter) for parameter in self.group.parameters]

    def distance(self, targets: Sequence[Array]) -> float:
        pairs = zip(self.parameter_arrays(), targets, strict=True)
        return float(sum(np.sum(np.square(parameter - target)) for parameter, target in pairs))

    def set_gradients(self, arrays: Sequence[Array]) -> None:
        for gradient, array in zip(self.group.gradients, arrays, strict=True):
            self.backend.assign(gradient, self.backend.upload(array, DType.f32))

    def scalars(self, step: int, learning_rate: float, scale: float, apply: float) -> list[Array]:
        """Returns what changes at every step, on the host: scale, apply, then the optimizer's own values."""
        values = (scale, apply, *self.optimizer.step_values(step, learning_rate))
        return [np.array(value, np.float32) for value in values]

    def apply(self, scalars: Sequence[Tensor]) -> None:
        scale, apply, *values = scalars
        self.optimizer.update(self.backend, self.group, StepScalars(gradient_scale=scale, apply=apply, values=values))

    def update(self, step: int, learning_rate: float, scale: float = 1.0, apply: float = 1.0) -> None:
        self.apply([self.backend.upload(scalar) for scalar in self.scalars(step, learning_rate, scale, apply)])


def _assert_same(when: str, got: Sequence[Array], want: Sequence[Array]) -> None:
    for index, (one, other) in enumerate(zip(got, want, strict=True)):
        assert_same_bits(f"{when}, tensor {index}", one, other)
