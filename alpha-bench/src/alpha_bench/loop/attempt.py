"""One attempt: a short training loop, with what it takes and whether its values make sense. Runs in its own process."""

import time
from collections.abc import Mapping
from itertools import cycle
from typing import IO, Any

import attrs
import numpy as np

from alpha_bench.batches import made_steps
from alpha_bench.child import run_in_child
from alpha_bench.memory import peak_bytes
from alpha_core.backend import Backend
from alpha_core.config import RunConfig, from_dict, to_dict
from alpha_core.plugins import Plugins
from alpha_model import GPT
from alpha_model.activation import Activation
from alpha_train.trainer import Trainer

__all__ = ["Measurement", "attempt", "serve_attempt"]

_DIFFERENT_STEPS = 8
_TOLERANCE = 1e-3
"""Of the smoke test: products of 64 numbers around 1 in f32 are far closer, values from a broken kernel far off."""


@attrs.frozen(kw_only=True)
class Measurement:
    """What an attempt found."""

    backend: str
    """Its name, not `auto`."""
    device: str
    """What it says of itself."""
    knobs: Mapping[str, int]
    step_seconds: list[float]
    """Of each measured step."""
    losses: list[float | None]
    """Before each step, those of the warm-up too; None where it is not finite."""
    skipped_steps: int
    tokens_per_step: int
    first_step_seconds: float
    """Of the very first step, with whatever it compiles."""
    memory_peak_bytes: int
    wrong_values: list[str]
    """Ops of the smoke test whose values are wrong."""


def attempt(
    config: RunConfig, *, steps: int, warmup: int, timeout: float, log: IO[str] | None = None
) -> "Measurement | str":
    """Runs an attempt in a process of its own; returns the reason if it gave no measurement."""
    request = {"config": to_dict(config), "steps": steps, "warmup": warmup}
    answer = run_in_child("attempt", request, timeout=timeout, log=log)
    if answer.value is None:
        return answer.reason or "it gave no answer"
    return Measurement(**answer.value)


def serve_attempt(plugins: Plugins, request: Mapping[str, Any]) -> dict[str, Any]:
    """The task `attempt`."""
    config = from_dict(request["config"])
    backend = plugins.choose_backend(config.train.backend).load()
    wrong = wrong_values(backend)
    activation = Activation.of(plugins.activations.get(config.model.activation))
    optimizer = plugins.optimizers.get(config.train.optimizer).load()(config.train)
    trainer = Trainer(GPT(config.model, activation), backend, config.train, optimizer)
    batches = cycle(made_steps(config.model, config.train, _DIFFERENT_STEPS))
    seconds: list[float] = []
    losses: list[float | None] = []
    skipped = 0
    for _ in range(request["warmup"] + request["steps"]):
        began = time.perf_counter()
        for batch in next(batches):
            trainer.accumulate(batch)
        result = trainer.update(config.train.lr)
        seconds.append(time.perf_counter() - began)
        losses.append(result.loss if np.isfinite(result.loss) else None)
        skipped += not result.applied
    train, model = config.train, config.model
    return attrs.asdict(
        Measurement(
            backend=backend.name,
            device=backend.description,
            knobs={knob.name: knob.value for knob in backend.knobs},
            step_seconds=seconds[request["warmup"] :],
            losses=losses,
            skipped_steps=skipped,
            tokens_per_step=train.batch_size * train.accum_steps * model.block_size,
            first_step_seconds=seconds[0],
            memory_peak_bytes=peak_bytes(),
            wrong_values=wrong,
        )
    )


def wrong_values(backend: Backend) -> list[str]:
    """Returns the ops of a small smoke test whose values differ from numpy's."""
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((2, 48, 64)).astype(np.float32)
    a, b = backend.upload(x), backend.upload(y)
    exponentials = np.exp(x - x.max(axis=1, keepdims=True), dtype=np.float64)
    expected = {
        "matmul": (lambda: backend.matmul(a, b, transpose_b=True), x.astype(np.float64) @ y.T.astype(np.float64)),
        "softmax": (lambda: backend.softmax(a), exponentials / exponentials.sum(axis=1, keepdims=True)),
        "sum": (lambda: backend.sum(a, (0,)), x.sum(axis=0, dtype=np.float64)),
    }
    wrong = []
    for name, (compute, right) in expected.items():
        program = backend.record(lambda compute=compute: [compute()], (), name=f"smoke {name}")
        (found,) = program()
        if not np.allclose(backend.download(found), right, rtol=_TOLERANCE, atol=_TOLERANCE):
            wrong.append(name)
    return wrong
