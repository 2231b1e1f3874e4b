"""The state of a training run on a backend, and its two programs: accumulate a batch, update the parameters."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_autograd import Tape
from alpha_core.backend import Backend
from alpha_core.config import TrainConfig
from alpha_core.dtype import DType
from alpha_core.errors import CheckpointError
from alpha_core.knob import parse_knobs
from alpha_core.optimizer import Optimizer, StepScalars
from alpha_core.program import Program
from alpha_core.tensor import Tensor
from alpha_model import GPT, Randomness
from alpha_train.data import Batch
from alpha_train.loss_scale import LossScale
from alpha_train.parameter_groups import parameter_groups
from alpha_train.precision import set_precision

__all__ = ["StepResult", "Trainer"]

Array = npt.NDArray[Any]


@attrs.frozen(kw_only=True)
class StepResult:
    """What an update reports."""

    loss: float
    """Mean over the step's tokens, in nats, before the update."""
    grad_norm: float
    """Global norm of the mean gradient, after `emb_grad_scale` and before clipping."""
    clip_coefficient: float
    """What gradients were multiplied by; below 1 when they were clipped."""
    applied: bool
    """False when the step was skipped: its loss or gradients were not finite, or its norm was a spike."""
    loss_scale: float | None = None
    """What the loss was multiplied by, in f16."""

    @property
    def spiked(self) -> bool:
        """Whether the step was skipped for its gradient norm, which is finite but above the spike threshold."""
        return not self.applied and math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class Trainer:
    """Parameters, gradient sums and optimizer state as tensors; all that changes between steps is on the device.

    Gradients are sums over tokens; the update divides by their number. So `accumulate` is additive over the batch, and
    gradient accumulation, a split batch and several devices are the same mechanism.
    """

    def __init__(
        self, model: GPT, backend: Backend, config: TrainConfig, optimizer: Optimizer, *, initialize: bool = True
    ) -> None:
        """Starts from the model's initial values for `config.seed`, or else from zeros, to `restore` others or to plan.

        Sets the backend's precision and knobs to those of `config`. Raises `BackendError` and `UsageError` where it
        cannot compute so.
        """
        self.model, self.backend, self.config, self.optimizer = model, backend, config, optimizer
        for name, value in parse_knobs(config.knobs).items():
            backend.set_knob(name, value)
        self.dtype = set_precision(backend, config.precision)
        specs = model.parameter_specs
        if initialize:
            initial = model.initial_parameters(config.seed)
            self.parameters = {spec.name: backend.upload(initial[spec.name], self.dtype) for spec in specs}
        else:
            self.parameters = {spec.name: backend.zeros(spec.shape, self.dtype) for spec in specs}
        self._gradients = {spec.name: backend.zeros(spec.shape, self.dtype) for spec in specs}
        self.state: dict[str, dict[str, Tensor]] = {
            spec.name: {
                slot: backend.zeros(shape, self.dtype)
                for slot, shape in optimizer.slots(spec.name, spec.shape, spec.kind).items()
            }
            for spec in specs
        }
        self._groups = parameter_groups(specs, config.weight_decay, self.parameters, self._gradients, self.state)
        self._loss_sum = backend.zeros((), self.dtype)
        self.loss_scale = LossScale(backend) if config.precision == "f16" else None
        self.step = 0
        """Number of updates done."""
        self.earlier_steps = 0
        """Updates behind the optimizer's state from before the first step: those of a run that it was taken from."""
        self._step = backend.zeros((), DType.i32)  # the same on the device, for dropout
        self._one = backend.full((), 1, DType.i32)
        self._tokens = 0
        self._programs: dict[tuple[str, tuple[int, ...]], Program] = {}

    def accumulate(self, batch: Batch) -> None:
        """Adds the loss and gradients of a batch to the sums."""
        inputs = (batch.tokens, batch.targets, batch.rows)
        self._program("accumulate", inputs)(*inputs)
        self._tokens += batch.target_count

    def update(self, learning_rate: float) -> StepResult:
        """Applies one optimizer step to what was accumulated, and clears the sums."""
        return self.start_update(learning_rate)()

    def start_update(self, learning_rate: float) -> Callable[[], StepResult]:
        """Does what `update` does; the returned function waits for what it reports.

        Before that is asked for, the next batch may be accumulated, so that a device has something to do meanwhile.
        """
        self.step += 1
        values = self._step_values(self.step + self.earlier_steps, learning_rate)
        (report,) = self._program("update", (values,))(values)
        self._tokens = 0
        download = self.backend.start_download(report)

        def result() -> StepResult:
            loss, norm, clip, applied, *scale = map(float, download())
            return StepResult(
                loss=loss,
                grad_norm=norm,
                clip_coefficient=clip,
                applied=applied == 1.0,
                loss_scale=scale[0] if scale else None,
            )

        return result

    def discard(self) -> None:
        """Forgets what was accumulated since the last update."""
        for sums in (*self._gradients.values(), self._loss_sum):
            self.backend.assign(sums, self.backend.zeros(sums.shape, sums.dtype))
        self._tokens = 0

    def loss(self, batches: Iterable[Batch]) -> float:
        """Returns the mean loss over the tokens of some batches, in nats, without dropout; NaN without tokens."""
        total, tokens = 0.0, 0
        for batch in batches:
            inputs = (batch.tokens, batch.targets)
            (loss_sum,) = self._program("evaluate", inputs)(*inputs)
            total += float(self.backend.download(loss_sum))
            tokens += batch.target_count
        return total / tokens if tokens else math.nan

    def record(self, batch_size: int) -> dict[str, Program]:
        """Records `accumulate`, `update` and `evaluate` for batches of this size, and runs none of them."""
        tokens = np.zeros((batch_size, self.model.config.block_size), np.int32)
        inputs: dict[str, tuple[Array, ...]] = {
            "accumulate": (tokens, tokens, np.arange(batch_size, dtype=np.int32)),
            "update": (self._step_values(1, self.config.lr),),
            "evaluate": (tokens, tokens),
        }
        return {name: self._program(name, arrays) for name, arrays in inputs.items()}

    def parameters_on_host(self) -> dict[str, Array]:
        """Returns the parameters by name, read back from the device."""
        return {name: self.backend.download(tensor) for name, tensor in self.parameters.items()}

    def state_on_host(self) -> dict[str, dict[str, Array]]:
        """Returns the optimizer's state by parameter and slot, read back from the device."""
        return {
            name: {slot: self.backend.download(tensor) for slot, tensor in slots.items()}
            for name, slots in self.state.items()
        }

    def set_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Takes over values of all parameters. Raises `CheckpointError` as `restore` does."""
        self._assign(parameters, self.parameters)

    def restore(
        self,
        parameters: Mapping[str, Array],
        state: Mapping[str, Mapping[str, Array]],
        step: int,
        earlier_steps: int = 0,
    ) -> None:
        """Continues exactly from what `parameters_on_host` and `state_on_host` returned after `step` updates.

        `earlier_steps` is what the attribute of that name was. Raises `CheckpointError`, before anything is changed,
        when a tensor is missing, left over or of another shape.
        """
        here, stored = dict(self.parameters), dict(parameters)
        for name, slots in self.state.items():
            here.update({f"{name} ({slot})": tensor for slot, tensor in slots.items()})
        for name, arrays in state.items():
            stored.update({f"{name} ({slot})": array for slot, array in arrays.items()})
        self._assign(stored, here)
        self.backend.assign(self._step, self.backend.full((), step, DType.i32))
        self.step, self.earlier_steps = step, earlier_steps

    def _assign(self, stored: Mapping[str, Array], here: Mapping[str, Tensor]) -> None:
        _check_tensors(stored, here)
        for name, tensor in here.items():
            self.backend.assign(tensor, self.backend.upload(stored[name], self.dtype))

    def _program(self, name: str, inputs: tuple[Array, ...]) -> Program:
        key = (name, inputs[0].shape)
        if key not in self._programs:
            functions: dict[str, Callable[..., Sequence[Tensor]]] = {
                "accumulate": self._record_accumulate,
                "update": self._record_update,
                "evaluate": self._record_evaluate,
            }
            self._programs[key] = self.backend.record(functions[name], inputs, name=name, additive=name != "update")
        return self._programs[key]

    def _step_values(self, step: int, learning_rate: float) -> Array:
        """Returns what the update takes from the host."""
        values = (1.0 / max(1, self._tokens), *self.optimizer.step_values(step, learning_rate))
        return np.array(values, dtype=self.dtype.numpy)

    def _record_accumulate(self, tokens: Tensor, targets: Tensor, rows: Tensor) -> list[Tensor]:
        tape = Tape(self.backend)
        tape.watch(*self.parameters.values())
        random = Randomness(self.config.seed, self._step, rows) if self.model.config.dropout > 0 else None
        losses = self.model.losses(
            tape, self.parameters, tokens, targets, random, recompute=self.config.activation_checkpointing
        )
        scaled = losses if self.loss_scale is None else self.loss_scale.scaled(tape, losses)
        tape.accumulate(scaled, {self.parameters[name]: sums for name, sums in self._gradients.items()})
        self.backend.add_into(self._loss_sum, self.backend.sum(losses))
        return []

    def _record_update(self, values: Tensor) -> list[Tensor]:
        b = self.backend
        per_token, *rest = (b.reshape(b.slice(values, 0, i, i + 1), ()) for i in range(values.size))
        loss = b.mul(self._loss_sum, per_token)
        self._scale_embedding_gradients()
        per_gradient = per_token if self.loss_scale is None else self.loss_scale.unscaled(per_token)
        norm = b.mul(b.global_norm(list(self._gradients.values())), per_gradient)
        finite = b.all_finite(norm)
        apply = b.mul(finite, b.all_finite(loss))
        if self.config.spike_threshold > 0:
            apply = b.mul(apply, b.sub(1.0, b.greater(norm, self.config.spike_threshold)))
        limit = self.config.grad_clip
        clip = b.clip_coefficient(norm, limit) if limit > 0 else b.full((), 1.0, self.dtype)
        scalars = StepScalars(gradient_scale=b.mul(per_gradient, clip), apply=apply, values=rest)
        for group in self._groups:
            self.optimizer.update(b, group, scalars)
        told = [loss, norm, clip, apply]
        if self.loss_scale is not None:
            told.append(b.add(self.loss_scale.scale, 0.0))
            self.loss_scale.update(finite)
        report = b.cat([b.reshape(value, (1,)) for value in told], 0)
        for sums in (*self._gradients.values(), self._loss_sum):
            b.assign(sums, b.zeros(sums.shape, sums.dtype))
        b.add_into(self._step, self._one)
        return [report]

    def _scale_embedding_gradients(self) -> None:
        """Multiplies the summed gradients of embeddings, so that norm and clipping see the scaled ones."""
        scale = self.config.emb_grad_scale
        for group in self._groups:
            if group.kind == "embedding" and scale != 1.0:
                for gradient in group.gradients:
                    self.backend.assign(gradient, self.backend.mul(gradient, scale))

    def _record_evaluate(self, tokens: Tensor, targets: Tensor) -> list[Tensor]:
        return [self.backend.sum(self.model.losses(self.backend, self.parameters, tokens, targets))]


def _check_tensors(stored: Mapping[str, Array], here: Mapping[str, Tensor]) -> None:
    for name in [*here, *stored]:
        if name not in stored:
            raise CheckpointError(f"the checkpoint has no tensor `{name}`, which this model and optimizer need")
        if name not in here:
            raise CheckpointError(
                f"the checkpoint has a tensor `{name}`, for which this model and optimizer have no use"
            )
        if stored[name].shape != here[name].shape:
            shapes = f"{list(stored[name].shape)} in the checkpoint, {list(here[name].shape)} here"
            raise CheckpointError(f"tensor `{name}` is {shapes}")
