"""The page of results: its arithmetic, and that it is up to date."""

from pathlib import Path

import attrs
import pytest
from benchmarks.render import PAGE, SUITES, rendered, table_of

from alpha_bench.report import Report
from alpha_bench.result import FAILED, Result
from alpha_core.errors import DataError


def result(implementation: str, samples: tuple[float, ...], suite: str = "train", **more: object) -> Result:
    fields = {"suite": suite, "id": "6x256-f32", "implementation": implementation, "samples": samples, **more}
    return Result(**fields)  # type: ignore[arg-type]


def report(*results: Result) -> Report:
    return Report.here(command="python -m benchmarks train", results=results)


def row(table: str) -> list[str]:
    """The cells of the only case."""
    return [cell.strip() for cell in table.splitlines()[2].strip("|").split("|")]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == rendered(), "run `.venv/bin/python -m benchmarks render`"


def test_times_have_their_spread_and_ratios_are_taken_round_by_round() -> None:
    table = table_of(
        "train",
        report(
            result("alpha", (0.1, 0.2, 0.1)),
            result("pytorch eager", (0.3, 0.5, 0.4), extra={"threads": 2, "mode": "eager", "torch": "2.13.0"}),
            result("pytorch compile", (0.6, 0.6, 0.6), extra={"threads": 1, "mode": "compile"}),
        ),
    )
    assert row(table) == [
        "6x256-f32",
        "100.0 ms ±50.0%",
        "400.0 ms ±25.0%<br>3.00x, 2 threads",
        "600.0 ms ±0.0%<br>6.00x, 1 thread",
        "**3.00** (2.50 to 4.00)",
    ]
    assert "- pytorch eager: torch 2.13.0" in table


def test_memory_is_compared_with_the_smallest_peer() -> None:
    peaks = {"alpha": 300_000_000, "pytorch eager": 600_000_000, "pytorch compile": 900_000_000}
    results = [
        result(name, (1.0,), "memory", memory_peak_bytes=peak, extra={"lowest_peak": peak, "highest_peak": peak})
        for name, peak in peaks.items()
    ]
    cells = row(table_of("memory", report(*results)))
    assert cells[1] == "300 MB (300 to 300)"
    assert cells[-1] == "**50%**"


def test_decoding_is_told_in_tokens_and_in_bytes_read() -> None:
    work = {"tokens": 64, "weight_bytes": 64 * 500_000_000}
    cells = row(table_of("decode", report(result("alpha", (0.64,), "decode", work=work))))
    assert cells[1] == "100 tokens/s ±0.0%, 50.0 GB/s"
    assert cells[-1] == "none"


def test_failures_and_stand_ins_are_named() -> None:
    table = table_of(
        "train",
        report(
            result("alpha", (0.1,), extra={"note": "measured is `cpu_ref`"}),
            result("tinygrad", (), status=FAILED, reason="no compiler"),
        ),
    )
    assert "- 6x256-f32, tinygrad: no compiler" in table
    assert "- 6x256-f32: measured is `cpu_ref`" in table
    assert row(table)[2] == "none"


def test_different_ids_of_tokenizers_are_told() -> None:
    def encoded(name: str, digest: str) -> Result:
        work = {"text_bytes": 3_000_000}
        return result(name, (1.5,), "tokenizer", id="python encoding", work=work, extra={"digest": digest})

    assert "All gave the same ids." in table_of("tokenizer", report(encoded("alpha", "x"), encoded("tiktoken", "x")))
    different = table_of("tokenizer", report(encoded("alpha", "x"), encoded("tiktoken", "y")))
    assert "The ids differ for python encoding." in different
    assert "2.00 MB/s ±0.0%, 1.50 s" in different


def test_results_fill_the_marked_parts_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marks = "".join(f"<!-- generated: {suite} -->\nold\n<!-- end: {suite} -->\n" for suite in SUITES)
    page.write_text(f"by hand\n{marks}by hand too\n")
    failed = result("tinygrad", (), status=FAILED, reason="no compiler")
    report(result("alpha", (0.1,)), failed).write(tmp_path / "train.json")
    report(result("alpha", (0.2,))).write(tmp_path / "train-other-machine.json")
    text = rendered(page, tmp_path)
    assert text.startswith("by hand\n")
    assert text.endswith("by hand too\n")
    assert "old" not in text
    assert text.index("100.0 ms") < text.index("200.0 ms") < text.index("<!-- end: train -->")
    assert "- 6x256-f32, tinygrad: no compiler" in text
    assert text.index("Its file is `train.json`.") < text.index("Its file is `train-other-machine.json`.")
    assert "Not measured yet: `python -m benchmarks decode`." in text


def test_quick_trials_are_not_published(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- generated: {suite} -->\n<!-- end: {suite} -->\n" for suite in SUITES))
    attrs.evolve(report(result("alpha", (0.1,))), quick=True).write(tmp_path / "train.json")
    with pytest.raises(DataError, match="is of a quick trial"):
        rendered(page, tmp_path)


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Benchmarks\n")
    with pytest.raises(DataError, match="needs the marks `<!-- generated: train -->` and `<!-- end: train -->`"):
        rendered(page, tmp_path)
