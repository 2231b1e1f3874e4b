"""The document: what stands in it, and that it is refused when it is damaged."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import DOCS, section

from alpha_bench import Report, Result, Session, read_report, run_suites
from alpha_bench.ceilings import Ceilings
from alpha_bench.report import BackendFacts
from alpha_core.errors import DataError

RESULT = Result.of(
    suite="train",
    id="6x256-f32",
    samples=[0.4, 0.2, 0.3],
    warmup=2,
    work={"tokens": 600},
    flops=6e9,
    parameters={"precision": "f32"},
    memory_peak_bytes=10**8,
)


@pytest.fixture
def report(session: Session) -> Report:
    failed = Result(suite="train", id="b", status="failed", reason="the loss is not finite after 3 steps")
    return Report.here(
        command="a test",
        results=[RESULT, failed],
        backend=BackendFacts.of(session.backend),
        ceilings=Ceilings(flops_per_second={"f32": 1e11}, bytes_per_second=1e10, how={"f32": "a", "bytes": "b"}),
        versions={"torch": "2.13"},
    )


def keys_of(value: Any, prefix: str = "") -> set[str]:
    """Every key of a document, with the keys above it."""
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, inner in value.items():
        found |= {prefix + key, *keys_of(inner, f"{prefix}{key}.")}
    return found


def test_a_document_reads_back_as_it_was(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    report.write(path)
    assert read_report(path).to_json() == report.to_json() == json.loads(path.read_text())


def test_a_case_has_its_samples_and_what_follows_from_them(report: Report) -> None:
    case, failed = report.to_json()["cases"]
    assert case["samples"] == [0.4, 0.2, 0.3]
    assert (case["median"], case["minimum"], case["maximum"], case["count"]) == (0.3, 0.2, 0.4, 3)
    assert case["rates"] == {"tokens_per_second": pytest.approx(2000)}
    assert case["flops_per_second"] == pytest.approx(2e10)
    assert case["bytes_per_second"] is None
    assert (failed["status"], failed["median"], failed["samples"]) == ("failed", None, [])


def test_a_report_says_what_measured(report: Report) -> None:
    content = report.to_json()
    assert content["schema"] == "alpha-bench/1"
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["cpu"]
    assert content["backend"]["name"] == "cpu_ref"
    assert {"python", "numpy", "alpha-core", "alpha-bench", "torch"} <= {
        name for name, version in content["versions"].items() if version
    }


def test_every_key_is_documented(report: Report, session: Session) -> None:
    (with_roofline,) = run_suites(
        ["gemm"],
        session,
        pattern="square-24-nn-f32",
        ceilings=Ceilings(flops_per_second={"f32": 1e11}, bytes_per_second=1e10),
    )
    content = report.to_json()
    described = section(DOCS / "benchmarking.md", "The document")
    for case in (content["cases"][0], with_roofline.to_json()):
        for free in ("parameters", "work", "rates", "extra"):
            case[free] = None
        for key in keys_of(case):
            assert f"`{key}`" in described, key
    for free in ("versions", "environment"):
        content[free] = None
    content["backend"]["knobs"] = content["ceilings"]["flops_per_second"] = content["ceilings"]["how"] = None
    for key in keys_of(content):
        assert f"`{key}`" in described, key


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content.pop("schema"), "has no `schema`"),
        (lambda content: content.update(schema="alpha-bench/9"), "has the schema `alpha-bench/9`"),
        (lambda content: content.pop("machine"), "has no 'machine'"),
        (lambda content: content["cases"][0].pop("samples"), "has no 'samples'"),
        (lambda content: content["cases"][0].update(samples=[]), "needs samples"),
        (lambda content: content["cases"][0].update(status="great"), "`great` is no status"),
        (lambda content: content.update(machine=3), "damaged"),
    ],
)
def test_a_damaged_document_is_refused_with_what_is_wrong(
    report: Report, tmp_path: Path, damage: Any, message: str
) -> None:
    content = report.to_json()
    damage(content)
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_report(path)


def test_a_missing_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_report(tmp_path / "none.json")
