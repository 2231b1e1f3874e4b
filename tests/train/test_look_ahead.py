"""A backend that computes while the host waits gets the next batch early, which changes nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.train.helpers import make_batch, make_trainer, state_of
from tests.train.test_run import MakeConfig, StopAfter, losses, stored_config

from alpha_core import Plugins
from alpha_core.descriptors import BackendInfo
from alpha_core.program import Program
from alpha_core.tensor import Tensor
from alpha_tensor import CpuRef
from alpha_train import resume_run, start_run


class Asynchronous(CpuRef):
    """Notes in which order programs are called and results are asked for."""

    name = "cpu_ref"
    is_asynchronous = True

    def __init__(self) -> None:
        self.calls: list[str] = []

    def record(self, *arguments: Any, name: str, **options: Any) -> Program:
        program = super().record(*arguments, name=name, **options)
        run = program._run

        def noted(inputs: Any) -> list[Tensor]:
            self.calls.append(name)
            return run(inputs)

        program._run = noted  # type: ignore[method-assign]
        return program

    def start_download(self, x: Tensor) -> Callable[[], npt.NDArray[Any]]:
        array = self.download(x)

        def wait() -> npt.NDArray[Any]:
            self.calls.append("wait")
            return array

        return wait


@pytest.fixture
def backend(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> Asynchronous:
    opened = Asynchronous()
    info = BackendInfo(name="cpu_ref", summary="For a test.", load=lambda: opened)
    monkeypatch.setattr(plugins.backends, "get", lambda name: info)
    return opened


def test_the_device_has_work_while_the_host_waits(
    make_config: MakeConfig, plugins: Plugins, backend: Asynchronous
) -> None:
    start_run(make_config(iters=3, accum_steps=2, eval_interval=0), plugins)
    steps = [call for call in backend.calls if call != "evaluate"]
    one = ["accumulate", "update", "accumulate", "wait"]
    assert steps == ["accumulate", *one, *one, "accumulate", "update", "wait"]


@pytest.mark.parametrize("settings", [{}, {"accum_steps": 2, "dropout": 0.2}, {"spike_threshold": 1.0}])
def test_results_are_the_same(
    settings: dict[str, object], make_config: MakeConfig, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = start_run(make_config(**settings), plugins).folder
    opened = Asynchronous()
    info = BackendInfo(name="cpu_ref", summary="For a test.", load=lambda: opened)
    monkeypatch.setattr(plugins.backends, "get", lambda name: info)
    config = make_config(**settings)
    stopped = start_run(config, plugins, stop=StopAfter(5)).folder
    assert losses(resume_run(stopped, stored_config(stopped), plugins).folder) == losses(want)


def test_what_was_accumulated_for_no_step_is_forgotten() -> None:
    disturbed, plain = make_trainer(), make_trainer()
    disturbed.accumulate(make_batch(1))
    disturbed.discard()
    for trainer in (disturbed, plain):
        trainer.accumulate(make_batch(0))
        trainer.update(1e-2)
    for name, array in state_of(plain).items():
        np.testing.assert_array_equal(state_of(disturbed)[name], array, err_msg=name)
