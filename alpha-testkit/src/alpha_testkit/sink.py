"""The conformance kit of metric sinks."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from alpha_core.errors import AlphaError
from alpha_core.observer import Event, MetricSink, RunInfo, Sample
from alpha_testkit.conformance import Conformance, each

__all__ = ["SinkConformance"]

Calls = list[tuple[str, tuple[Any, ...]]]

CONFIG: dict[str, Any] = {
    "model": {"n_layer": 2, "n_embd": 64, "activation": "gelu"},
    "train": {"iters": 4, "lr": 3e-4, "sinks": ["console", "jsonl"], "tag": ""},
}


def _metrics(step: int, **more: Any) -> Mapping[str, Any]:
    """What a trainer reports about a step; a sink that writes to it fails."""
    values = {"step": step, "loss": 4.2 / step, "lr": 3e-4, "gradNorm": 1.5, "elapsed_ms": 12.5, "tokens_per_sec": 8e4}
    return MappingProxyType({**values, **more})


def _usual(run: RunInfo) -> Calls:
    """A run as it usually goes: steps, an evaluation, samples, a checkpoint, the end."""
    return [
        ("on_start", (run,)),
        ("on_step", (_metrics(1),)),
        ("on_event", (Event(kind="note", message="first step done", step=1),)),
        ("on_step", (_metrics(2, valLoss=2.5),)),
        ("on_samples", (2, [Sample(prompt="to be", output=" or not\n\tto be"), Sample(prompt="", output="")])),
        ("on_samples", (2, [])),
        ("on_event", (Event(kind="checkpoint_saved", message="saved", step=2, payload={"path": "checkpoint-2.alph"}),)),
        ("on_step", (_metrics(3),)),
        ("on_step", (_metrics(4, valLoss=2.25),)),
        ("on_finish", (MappingProxyType({"status": "completed", "step": 4, "loss": 1.05, "bestValLoss": 2.25}),)),
    ]


def _non_finite(run: RunInfo) -> Calls:
    """A run that diverges: NaN and infinities wherever numbers are."""
    nan, infinity = float("nan"), float("inf")
    failed = {"status": "failed", "step": 3, "loss": nan, "bestValLoss": infinity}
    return [
        ("on_start", (run,)),
        ("on_step", (_metrics(1, loss=nan, gradNorm=infinity),)),
        ("on_step", (_metrics(2, loss=-infinity, valLoss=nan, tokens_per_sec=infinity, elapsed_ms=nan),)),
        ("on_event", (Event(kind="skipped", message="not finite", step=2, level="warning", payload={"norm": nan}),)),
        ("on_finish", (MappingProxyType(failed),)),
    ]


def _unusual(run: RunInfo) -> Calls:
    """Values of every type, metrics and kinds of events that nobody knows, and text that is hard to show."""
    text = '\u4f60\u597d \U0001f469\u200d\U0001f4bb\ufffd \x1b[31mred\x00 [bold]markup[/] </b> "quoted" \'n\\n\r\n'
    nested = {"list": [1, 2.5, None, True], "object": {"a": {"b": []}}}
    return [
        ("on_start", (run,)),
        ("on_step", (_metrics(1, unheard_of=7, note=text, flag=True, nothing=None, nested=nested),)),
        ("on_event", (Event(kind="unheard_of", message=text, step=0, level="error", payload=nested),)),
        ("on_samples", (1, [Sample(prompt=text, output=text * 50)])),
        ("on_step", (_metrics(10**9, loss=0.0, lr=0.0, gradNorm=0.0, elapsed_ms=0.0, tokens_per_sec=0.0),)),
        ("on_finish", (MappingProxyType({"status": "stopped", "step": 10**9, "loss": 0.0, "bestValLoss": None}),)),
    ]


def _short(run: RunInfo) -> Calls:
    """A run that fails before its first step."""
    return [
        ("on_start", (run,)),
        ("on_finish", (MappingProxyType({"status": "failed", "step": 0, "loss": None, "bestValLoss": None}),)),
    ]


def _broken_off(run: RunInfo) -> Calls:
    """A run whose end nobody tells."""
    return [("on_start", (run,)), ("on_step", (_metrics(1),))]


def _never_started(run: RunInfo) -> Calls:
    """A sink that is closed at once."""
    return []


RUNS: dict[str, Callable[[RunInfo], Calls]] = {
    "usual": _usual,
    "non-finite": _non_finite,
    "unusual": _unusual,
    "short": _short,
    "broken-off": _broken_off,
    "never-started": _never_started,
}


class SinkConformance(Conformance, kit=True):
    """Holds a metric sink to what a trainer does with it: all calls on one thread of its own, `close` last.

    ```python
    class TestMySink(SinkConformance):
        sink_class = MySink
    ```
    """

    sink_class: ClassVar[type[MetricSink]]

    def make_sink(self, run: RunInfo) -> MetricSink:
        """Returns a sink for a run: by default the class with the run."""
        return self.sink_class(run)

    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Runs in an empty working folder, which must stay empty: a sink writes into the run folder, and beside it what
        it declares. No database that the environment names is touched."""
        monkeypatch.delenv("TURSO_DATABASE_URL", raising=False)
        (tmp_path / "work").mkdir()
        (tmp_path / "runs" / "run").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "work")
        yield
        assert not list((tmp_path / "work").iterdir()), "the sink wrote into the working folder, not the run folder"
        beside = {path.name for path in (tmp_path / "runs").iterdir()} - {"run"}
        assert beside <= set(self.sink_class.shared_files), "the sink wrote beside the run folder"

    @each(lambda kit: RUNS)
    def test_run(self, case: Callable[[RunInfo], Calls], tmp_path: Path) -> None:
        """No call raises, whatever the run does."""
        self._drive(_run_info(tmp_path / "runs" / "run"), case)

    def test_resumed_run(self, tmp_path: Path) -> None:
        """A second sink goes on in the folder of a run that was stopped."""
        folder = tmp_path / "runs" / "run"
        self._drive(_run_info(folder), _broken_off)
        self._drive(_run_info(folder, start_step=2), _usual)

    def test_run_without_folder(self) -> None:
        """A run that keeps no files is shown, or refused at once with an `AlphaError`."""
        with contextlib.suppress(AlphaError):
            self._drive(_run_info(None), _usual)

    def test_two_runs_at_once(self, tmp_path: Path) -> None:
        """Two runs in one process do not disturb each other."""
        folders = [tmp_path / "runs" / "run" / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        sinks = [self.make_sink(_run_info(folder)) for folder in folders]
        for calls in zip(*(_usual(sink.run) for sink in sinks), strict=True):
            for sink, (method, arguments) in zip(sinks, calls, strict=True):
                getattr(sink, method)(*arguments)
        for sink in sinks:
            sink.close()

    def _drive(self, run: RunInfo, calls: Callable[[RunInfo], Calls]) -> None:
        """Makes a sink, calls it and closes it on a thread of its own, and raises what it raised."""
        raised: list[BaseException] = []

        def work() -> None:
            try:
                sink = self.make_sink(run)
                for method, arguments in calls(run):
                    getattr(sink, method)(*arguments)
                sink.close()
            except BaseException as error:  # noqa: BLE001 - it is raised again on the thread of the test
                raised.append(error)

        thread = threading.Thread(target=work, name="sink")
        thread.start()
        thread.join()
        if raised:
            raise raised[0]


def _run_info(folder: Path | None, start_step: int = 0) -> RunInfo:
    return RunInfo(
        run_id="20260101000000_abcd",
        folder=folder,
        config=CONFIG,
        parameters=123456,
        iters=4,
        start_step=start_step,
        train_tokens=10**6,
        validation_tokens=10**5,
        backend="cpu_ref (numpy)",
    )
