"""Alpha's own worker, as a process, on the reference backend."""

import json
import sys
from pathlib import Path

import attrs
import pytest
from benchmarks.case import Case, decoding_cases, train_cases
from benchmarks.entrant import alpha
from benchmarks.suites import SUITES, choose
from benchmarks.worker import Worker, WorkerError

from alpha_bench.suites.models import QUICK_MODELS
from alpha_tokenizers import BpeTokenizer

(MODEL,) = QUICK_MODELS.values()
TEXTS = ["the cat sat on the mat"] * 5


def alpha_worker(backend: str = "cpu_ref") -> Worker:
    return Worker(alpha(backend=backend), [sys.executable, "-m", "benchmarks.peers.alpha"])


def measure(worker: Worker, case: Case) -> dict[str, object]:
    with worker:
        assert "alpha-core" in worker.prepare(case)
        measurement = worker.measure(1, 0.0)
        assert len(measurement.samples) == 1
        return dict(measurement.facts)


def test_it_trains_a_model_that_knows_nothing_at_first() -> None:
    (case,) = train_cases("train", ("f32",), [MODEL])
    expected, tolerance = case.expected["first_loss"]
    facts = measure(alpha_worker(), case)
    assert facts["first_loss"] == pytest.approx(expected, abs=tolerance)
    assert facts["backend"] == "cpu_ref"


def test_it_decodes_as_many_tokens_as_it_was_asked_for() -> None:
    config = attrs.asdict(MODEL.config)
    for precision in ("f32", "bf16"):
        parameters = {**config, "prompt": 3, "steps": 4, "precision": precision}
        case = Case(suite="decode", id=f"tiny-{precision}", parameters=parameters, work={"tokens": 4})
        facts = measure(alpha_worker(), case)
        assert isinstance(facts["last_token"], int)


def test_it_encodes_as_the_tokenizer_does(tmp_path: Path) -> None:
    artifacts = BpeTokenizer.train(TEXTS, vocab_size=270).to_artifacts()
    contents = {"texts": TEXTS, "artifacts": artifacts}
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
    files = {name: str(tmp_path / name) for name in contents}
    case = Case(suite="tokenizer", id="cat", task="tokenizer encoding", parameters={}, files=files, work={})
    assert isinstance(measure(alpha_worker(), case)["digest"], str)


def test_an_unknown_task_is_refused_by_name() -> None:
    with alpha_worker() as worker, pytest.raises(WorkerError, match="this worker has no task `sing`"):
        worker.prepare(Case(suite="sing", id="one", parameters={}, work={}))


def test_a_missing_backend_is_told_and_the_reference_stands_in() -> None:
    (case,) = train_cases("train", ("f32",), [MODEL])
    facts = measure(alpha_worker("no_such"), case)
    assert facts["backend"] == "cpu_ref"
    assert str(facts["note"]).startswith("backend `no_such` is unavailable here (nobody registered it)")


def test_cases_have_different_names_and_can_be_chosen_by_their_beginnings() -> None:
    cases = [*train_cases("train", ("f32", "bf16")), *decoding_cases(("f32", "bf16"))]
    assert len({(case.suite, case.id) for case in cases}) == len(cases)
    assert [case.id for case in choose(cases, ("2x64", "gpt2-124m-b"))] == [
        *("2x64-f32", "2x64-bf16", "gpt2-124m-bf16", "gpt2-124m-bf16"),
    ]
    assert {case.suite for case in cases} <= set(SUITES)
