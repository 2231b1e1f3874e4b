"""Precision and knobs of a run: what is applied, what is stored, and what resuming does with it."""

import math
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
from tests.train.helpers import make_batch, make_trainer
from tests.train.test_run import StopAfter, losses, stored_config
from tests.train.tuned_backend import TunedRef

from alpha_core import Plugins
from alpha_core.config import RunConfig, TrainConfig
from alpha_core.descriptors import BackendInfo
from alpha_core.dtype import DType
from alpha_core.errors import BackendError, UsageError
from alpha_tensor import CpuRef
from alpha_train import resume_run, start_run
from alpha_train.inference import load_run
from alpha_train.optimizers.adamw import AdamW
from alpha_train.trainer import Trainer

MakeConfig = Callable[..., RunConfig]


class OnlySingle(CpuRef):
    """Has no products of bf16 operands."""

    name = "cpu_ref"
    compute_dtypes = (DType.f32,)

    def set_matmul_dtype(self, dtype: DType) -> None:
        if dtype is DType.bf16:
            raise BackendError("this processor has no bf16 products")


@pytest.fixture
def use(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> Callable[[CpuRef], CpuRef]:
    """Makes a backend the one that `cpu_ref` opens."""

    def replace(backend: CpuRef) -> CpuRef:
        info = BackendInfo(name="cpu_ref", summary="For a test.", load=lambda: backend)
        monkeypatch.setattr(plugins.backends, "get", lambda name: info)
        return backend

    return replace


def test_bf16_rounds_products_and_keeps_tensors_in_f32() -> None:
    single, rounded = make_trainer(), make_trainer(precision="bf16")
    assert {tensor.dtype for tensor in rounded.parameters.values()} == {DType.f32}
    results = []
    for trainer in (single, rounded):
        trainer.accumulate(make_batch(0))
        results.append(trainer.update(1e-2))
    assert results[1].loss == pytest.approx(results[0].loss, rel=1e-2)
    assert results[1].loss != results[0].loss
    assert results[1].grad_norm == pytest.approx(results[0].grad_norm, rel=3e-2)
    assert rounded.state_on_host()["wte"]["m"].dtype == np.float32


def test_bf16_learns_as_f32_does() -> None:
    final = []
    for precision in ("f32", "bf16"):
        trainer, batch = make_trainer(precision=precision), make_batch(0)
        for _ in range(60):
            trainer.accumulate(batch)
            result = trainer.update(1e-2)
        final.append(result.loss)
    assert final[1] == pytest.approx(final[0], abs=0.1)
    assert final[1] < 0.5 * math.log(17)


def test_a_backend_without_bf16_refuses_to_train_so() -> None:
    config = TrainConfig(precision="bf16")
    with pytest.raises(BackendError, match="this processor has no bf16 products"):
        Trainer(make_trainer().model, OnlySingle(), config, AdamW(config))


def test_a_trainer_sets_the_precision_of_a_backend_that_was_used_before() -> None:
    backend, config = CpuRef(), TrainConfig()
    backend.set_matmul_dtype(DType.bf16)
    Trainer(make_trainer().model, backend, config, AdamW(config))
    x = backend.upload(np.array([[1 + 2.0**-9]], np.float32))
    assert backend.download(backend.matmul(x, x)) > 1


def test_a_bf16_run_is_sampled_in_bf16_or_else_in_f32_with_a_note(
    make_config: MakeConfig, plugins: Plugins, use: Callable[[CpuRef], CpuRef]
) -> None:
    folder = start_run(make_config(precision="bf16", iters=4), plugins).folder
    loaded = load_run(folder, plugins, backend="cpu_ref")
    assert loaded.checkpoint.notes == ()
    x = loaded.backend.upload(np.array([[1 + 2.0**-9]], np.float32))
    assert loaded.backend.download(loaded.backend.matmul(x, x)) == 1
    assert loaded.parameters["wte"].dtype is DType.f32
    use(OnlySingle())
    (note,) = load_run(folder, plugins, backend="cpu_ref").checkpoint.notes
    assert note == "this processor has no bf16 products: the model, trained in bf16, is computed in f32"


def test_a_bf16_run_resumes_bit_by_bit_and_keeps_its_precision(make_config: MakeConfig, plugins: Plugins) -> None:
    config = make_config(precision="bf16", dropout=0.1)
    straight = start_run(config, plugins).folder
    stopped = start_run(config, plugins, stop=StopAfter(5)).folder
    resume_run(stopped, stored_config(stopped), plugins)
    assert losses(stopped) == losses(straight)
    stored = stored_config(stopped)
    changed = attrs.evolve(stored, train=attrs.evolve(stored.train, precision="f32"))
    with pytest.raises(UsageError, match="`precision` is `bf16` in this run and cannot become `f32`"):
        resume_run(stopped, changed, plugins)


def test_knobs_are_set_before_training_and_those_that_change_results_are_stored(
    make_config: MakeConfig, plugins: Plugins, use: Callable[[CpuRef], CpuRef]
) -> None:
    backend: Any = use(TunedRef())
    folder = start_run(make_config(knobs=("threads=2",), iters=2), plugins).folder
    assert backend.values == {"lanes": 2, "threads": 2}
    assert stored_config(folder).train.knobs == ("threads=2", "lanes=2")
    assert folder.latest_checkpoint(tensors=False).train_config["knobs"] == ["threads=2", "lanes=2"]  # type: ignore[index]


def test_resuming_uses_the_stored_knobs_whatever_the_machine_prefers(
    make_config: MakeConfig, plugins: Plugins, use: Callable[[CpuRef], CpuRef]
) -> None:
    use(TunedRef())
    folder = start_run(make_config(iters=2), plugins).folder
    other: Any = use(TunedRef())
    other.values = {"lanes": 4, "threads": 2}
    notes: list[str] = []
    config = stored_config(folder)
    more = attrs.evolve(config, train=attrs.evolve(config.train, iters=3, knobs=("threads=1",)))
    resume_run(folder, more, plugins, note=notes.append)
    assert other.values == {"lanes": 2, "threads": 1}
    assert stored_config(folder).train.knobs == ("lanes=2", "threads=1")
    assert notes == []


def test_a_knob_that_changes_results_cannot_be_changed_when_resuming(
    make_config: MakeConfig, plugins: Plugins, use: Callable[[CpuRef], CpuRef]
) -> None:
    use(TunedRef())
    folder = start_run(make_config(iters=2), plugins).folder
    config = stored_config(folder)
    for knobs, expected in (
        (("lanes=4",), "knob `lanes` is `2` in this run and cannot become `4` when it is resumed"),
        (("lane=4",), "backend `cpu_ref` has no knob `lane`"),
    ):
        changed = attrs.evolve(config, train=attrs.evolve(config.train, iters=3, knobs=knobs))
        with pytest.raises(UsageError, match=expected):
            resume_run(folder, changed, plugins)


def test_another_backend_goes_on_without_the_knobs_that_it_has_not_and_says_so_once(
    make_config: MakeConfig, plugins: Plugins, use: Callable[[CpuRef], CpuRef]
) -> None:
    use(TunedRef())
    folder = start_run(make_config(iters=2, knobs=("threads=2",)), plugins).folder
    use(CpuRef())
    notes: list[str] = []
    config = stored_config(folder)
    resume_run(folder, attrs.evolve(config, train=attrs.evolve(config.train, iters=3)), plugins, note=notes.append)
    assert notes == [
        "backend `cpu_ref` has no `threads`, `lanes`, with which this run was computed: its results may differ"
    ]
    assert stored_config(folder).train.knobs == ("threads=2", "lanes=2")  # for the backend that has them


def test_a_new_run_with_a_wrong_knob_fails_before_any_work(make_config: MakeConfig, plugins: Plugins) -> None:
    with pytest.raises(UsageError, match="backend `cpu_ref` has no knob `lanes`; it has none"):
        start_run(make_config(knobs=("lanes=2",), data="missing.txt"), plugins)
