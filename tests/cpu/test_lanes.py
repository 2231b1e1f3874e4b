"""Lanes and chunks decide the bits of a result; threads never do."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("llvmlite")

from tests.model.steps import TrainingStep, make_batch, make_model

from alpha_core.config import TrainConfig
from alpha_core.recording.launch import KernelSpec
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.llvm.types import f32, i64
from alpha_train.data import Batch
from alpha_train.optimizers.adamw import AdamW
from alpha_train.trainer import Trainer

THREADS = (1, 2, 5, 64)
ROWS = 12


def make_cpu(threads: int, lanes: int, chunk: int = 64) -> Cpu:
    backend = Cpu(threads=threads)
    backend.set_knob("lanes", lanes)
    backend.set_knob("chunk", chunk)
    return backend


def bits(results: dict[str, npt.NDArray[Any]]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in results.items()}


@pytest.mark.parametrize("lanes", [1, 2, 4])
@pytest.mark.parametrize("name", ["plain", "everything"])
def test_threads_do_not_change_losses_and_gradients(name: str, lanes: int) -> None:
    found = []
    for threads in THREADS:
        backend = make_cpu(threads, lanes)
        model = make_model(name, n_layer=1)
        found.append(bits(TrainingStep.of(backend, model).recorded(make_batch(ROWS))))
        backend.close()
    assert all(one == found[0] for one in found[1:])


def test_threads_do_not_change_a_run() -> None:
    """Dropout, accumulation, clipping, update and evaluation: the parameters after some steps."""
    config = TrainConfig(iters=2, batch_size=ROWS, accum_steps=2, lr=1e-2, grad_clip=0.1)
    found = []
    for threads in THREADS:
        backend = make_cpu(threads, lanes=3)
        trainer = Trainer(make_model("everything", n_layer=1), backend, config, AdamW(config))
        losses = []
        for _ in range(config.iters):
            for part in range(config.accum_steps):
                trainer.accumulate(Batch(*make_batch(ROWS, seed=part)))
            losses.append(trainer.update(config.lr).loss)
        losses.append(trainer.loss([Batch(*make_batch(ROWS, seed=0))]))
        found.append((losses, bits(trainer.parameters_on_host())))
        backend.close()
    assert found[0][0][-1] < found[0][0][0]
    assert all(one == found[0] for one in found[1:])


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_that_help_do_not_change_losses_and_gradients(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five lanes of unequal length, so that threads are done at different times."""
    found = []
    for helping in (False, True):
        monkeypatch.setattr(Cpu, "helping", helping)
        backend = make_cpu(threads, lanes=5)
        results = [TrainingStep.of(backend, make_model("everything", n_layer=1)).recorded(make_batch(7), times=20)]
        found.append([bits(one) for one in results])
        backend.close()
    assert found[0] == found[1]


def test_a_thread_that_is_done_helps_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks in two lanes, of which the one of the second lane is done at once."""

    def note(k: Kernel) -> None:
        """out[0] = in how many parts it is computed; waits as often as x[0] says."""
        out, x = k.pointer(), k.pointer()
        with k.range_(0, k.convert(x[0], i64)):
            k.pause()
        with k.if_(k.part == 0):
            out[0] = k.convert(k.parts, f32)

    def counted(helping: bool) -> float:
        monkeypatch.setattr(Cpu, "helping", helping)
        backend = make_cpu(2, lanes=2, chunk=1)
        total, batch = backend.zeros((1,)), np.array([[10_000], [10_000], [0]], np.float32)  # 0.2 ms, and nothing

        def step(x: Tensor) -> list[Tensor]:
            for _ in range(100):
                parts = backend.empty((1,))
                backend.launch(KernelSpec.of(note), writes=[parts], reads=[x])
                backend.add_into(total, parts)
            return []

        backend.record(step, [batch], name="noted", additive=True)(batch)
        found = float(backend.download(total)[0])
        backend.close()
        return found

    assert counted(helping=False) == 300
    found = [counted(helping=True) for _ in range(5)]  # a busy machine may keep the thread from its processor
    assert max(found) > 300
    assert max(found) <= 600


def test_threads_do_not_change_programs_that_are_not_split() -> None:
    model, (tokens, _, _) = make_model("modern"), make_batch(ROWS)
    found = set()
    for threads in THREADS:
        backend = make_cpu(threads, lanes=2)
        parameters = TrainingStep.of(backend, model).parameters

        def logits(t: Tensor, backend: Cpu = backend, parameters: dict[str, Tensor] = parameters) -> list[Tensor]:
            return [model.logits(backend, parameters, t)]

        program = backend.record(logits, [tokens], name="logits")
        found |= {backend.download(one).tobytes() for one in (*program(tokens), *program.repeat(3, tokens))}
        backend.close()
    assert len(found) == 1


def test_more_lanes_than_chunks_are_as_many_as_chunks() -> None:
    batch = make_batch(2)
    two, many = (bits(TrainingStep.of(make_cpu(3, lanes), make_model()).recorded(batch, times=2)) for lanes in (2, 64))
    assert two == many


def test_lanes_and_chunks_change_results_by_rounding_alone() -> None:
    batch, model = make_batch(ROWS), make_model("dropout")
    found = [
        TrainingStep.of(make_cpu(2, lanes, chunk), model).recorded(batch)
        for lanes, chunk in ((1, 64), (3, 64), (2, 256))
    ]
    for other in found[1:]:
        for name, want in found[0].items():
            assert np.linalg.norm(other[name] - want) <= 2e-6 * np.linalg.norm(want), name


def test_each_lane_but_the_first_needs_memory_for_its_own_sums() -> None:
    batch, model = make_batch(ROWS), make_model()
    backends = [make_cpu(2, lanes) for lanes in (1, 2, 4)]  # all with chunks of three rows
    steps = [TrainingStep.of(backend, model) for backend in backends]
    peaks = [
        backend.record(step, batch, name="step", additive=True).peak_bytes or 0
        for backend, step in zip(backends, steps, strict=True)
    ]
    sums = sum(gradient.nbytes for gradient in steps[0].gradients.values())
    assert peaks[2] - peaks[0] == 3 * (peaks[1] - peaks[0]) > 3 * sums


def test_threads_need_no_memory_of_their_own() -> None:
    batch, model = make_batch(ROWS), make_model()
    peaks = set()
    for threads in THREADS:
        backend = make_cpu(threads, lanes=2)
        program = backend.record(TrainingStep.of(backend, model), batch, name="step", additive=True)
        peaks.add(program.peak_bytes)
    assert len(peaks) == 1
