"""`alpha bench`."""

import json
from pathlib import Path

import pytest
from tests.bench.conftest import RunAlpha

QUICK = ("--backend=cpu_ref", "--quick", "--case=square-24-n?-f32")


def test_flags_after_the_group_are_those_of_run(alpha: RunAlpha) -> None:
    plain = alpha("bench", "--suite=gemm", *QUICK)
    named = alpha("bench", "run", "--suite=gemm", *QUICK)
    assert (plain.code, named.code) == (0, 0)
    assert plain.out.splitlines()[-3].split()[0] == named.out.splitlines()[-3].split()[0] == "case"
    assert "gemm/square-24-nn-f32" in plain.out
    assert "gemm/square-24-nt-f32: " in plain.err  # progress


def test_the_group_without_anything_shows_its_commands(alpha: RunAlpha) -> None:
    shown = alpha("bench").out
    assert all(f"\n  {name} " in shown for name in ("run", "loop", "tune", "compare"))
    assert "Without the name of a command" in shown


def test_a_wrong_flag_is_told_as_one_of_run(alpha: RunAlpha) -> None:
    done = alpha("bench", "--sute=gemm")
    assert done.code == 2
    assert "`alpha bench run` has no flag `--sute`" in done.err
    assert "did you mean `--suite`" in done.err


def test_a_wrong_command_is_told_with_the_nearest_one(alpha: RunAlpha) -> None:
    done = alpha("bench", "tunes")
    assert done.code == 2
    assert "`bench tune`" in done.err


def test_json_goes_to_standard_output_and_to_the_file(alpha: RunAlpha, tmp_path: Path) -> None:
    done = alpha("bench", "--suite=gemm", *QUICK, "--json", "--out=bench.json")
    content = json.loads(done.out)
    assert content == json.loads((tmp_path / "bench.json").read_text())
    assert content["quick"]
    assert [case["id"] for case in content["cases"]] == ["square-24-nn-f32", "square-24-nt-f32"]
    assert content["ceilings"]["flops_per_second"]["f32"] > 0
    assert content["cases"][0]["roofline"]["bound"] in ("flops", "bytes", "cache")


def test_a_suite_without_a_backend_needs_none(alpha: RunAlpha) -> None:
    done = alpha("bench", "--suite=tokenizer", "--case=bpe-decode", "--backend=none_such", "--quick", "--json")
    assert done.code == 0
    assert json.loads(done.out)["backend"] is None


def test_cases_can_be_listed_without_measuring(alpha: RunAlpha) -> None:
    done = alpha("bench", "--suite=infer,attn", "--list", "--backend=cpu_ref")
    lines = done.out.split()
    assert "infer/gpt2-124m-decode-1-int8" in lines
    assert "attn/d128-t1024-backward-bf16" in lines


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--suite=gem"], 2, "did you mean `gemm`"),
        (["--precision=f8"], 2, "`f8` is none of f32, bf16"),
        (["--suite=gemm", "--out=none/bench.json"], 2, "there is no folder `none`"),
        (["--suite=gemm", "--case=7x"], 2, "no case matches `7x`"),
        (["--suite=gemm", "--backend=cpu_rex"], 2, "did you mean `cpu_ref`"),
        (["--suite=gemm", "--backend=cpu_ref", "--knobs=pace=2"], 2, "has no knob `pace`"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(
    alpha: RunAlpha, flags: list[str], code: int, message: str
) -> None:
    done = alpha("bench", "--quick", *flags)
    assert done.code == code
    assert message in done.err
    assert done.out == ""


def test_a_case_whose_process_dies_is_failed_and_ends_with_code_1(alpha: RunAlpha, faulty_backends: None) -> None:
    done = alpha("bench", "--suite=train", "--case=tiny-*", "--backend=dies", "--quick", "--precision=f32", "--json")
    assert done.code == 1
    assert [(case["status"], case["reason"]) for case in json.loads(done.out)["cases"]] == [
        ("failed", "its process was ended by SIGKILL"),
        ("failed", "its process was ended by SIGKILL"),
    ]
    assert "2 of 2 cases failed: `train/tiny-f32`, `train/tiny-variant-f32`" in done.err


def test_a_loss_that_is_not_finite_is_a_failed_case(alpha: RunAlpha, faulty_backends: None) -> None:
    done = alpha("bench", "--suite=train", "--case=tiny-f32", "--backend=not_finite", "--quick")
    assert done.code == 1
    assert "the loss is not finite" in done.out


def test_knobs_reach_the_backend_and_the_document(alpha: RunAlpha, faulty_backends: None) -> None:
    done = alpha("bench", "--suite=gemm", "--backend=paced", "--knobs=pace=2", *QUICK[1:], "--json")
    assert json.loads(done.out)["backend"]["knobs"] == {"pace": 2}


def test_a_task_that_is_none_is_refused(alpha: RunAlpha, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("hello"))
    done = alpha("bench", "task")
    assert done.code == 2
    assert "standard input holds no task" in done.err
