"""Every suite runs on the reference backend, and counts what it does."""

import math

import attrs
import numpy as np
import pytest

from alpha_bench import Session, run_suites
from alpha_bench.ceilings import Ceilings, measure_ceilings, with_roofline
from alpha_bench.result import Result
from alpha_bench.runner import select_cases
from alpha_bench.suites import SUITES, suite_named, suites_of
from alpha_bench.suites.models import MODELS
from alpha_core.errors import UnknownNameError, UsageError
from alpha_model.parameters import parameter_count
from alpha_train.flops import flops_per_token

ALONE = {"train": "tiny-variant-f32", "infer": "tiny-decode-8-int8", "tokenizer": "bpe-encode", "data": "folder-bpe"}
"""One case of each suite whose cases are processes of their own."""


@pytest.mark.parametrize("suite", ["ops", "gemm", "attn"])
def test_every_case_of_a_kernel_suite_runs(session: Session, suite: str) -> None:
    results = run_suites([suite], session)
    assert {(result.status, result.reason) for result in results} == {("ok", None)}
    assert all(result.median and result.bytes and len(result.samples) == 3 for result in results)
    assert len({result.id for result in results}) == len(results)


@pytest.mark.parametrize(("suite", "case"), ALONE.items())
def test_a_case_in_a_process_of_its_own_reports_its_memory(session: Session, suite: str, case: str) -> None:
    ballast = np.ones(2**25)  # 256 MiB of this process, which are none of the case's
    (result,) = run_suites([suite], session, pattern=f"{suite}/{case}")
    assert ballast.all()
    assert (result.status, result.reason) == ("ok", None)
    assert result.memory_peak_bytes is not None
    assert 10e6 < result.memory_peak_bytes < 200e6
    assert result.rates


def test_a_whole_run_is_measured_to_its_first_step_and_to_its_end(session: Session) -> None:
    first, done = run_suites(["e2e"], session, pattern="*-cold")
    assert (first.reason, done.reason) == (None, None)
    assert first.median is not None
    assert done.median is not None
    assert 0.05 < first.median < 60
    assert done.work == {"tokens": 4 * 2 * 16}


@pytest.mark.parametrize("name", SUITES)
def test_cases_of_a_suite_have_different_names_with_and_without_quick(plugins, name: str) -> None:
    with Session(plugins, backend_name="cpu_ref") as full:
        ids = [case.id for case in suite_named(name).cases(full)]
    assert len(ids) == len(set(ids)) > 2


def test_a_square_product_counts_two_operations_for_each_of_its_cubed_size(session: Session) -> None:
    (result,) = run_suites(["gemm"], session, pattern="square-24-nn-f32")
    assert result.flops == 2 * 24**3
    assert result.bytes == 3 * 4 * 24**2


def test_training_counts_the_tokens_and_products_of_a_step(session: Session) -> None:
    plain, variant = run_suites(["train"], session, pattern="*-f32")
    assert plain.work == {"tokens": 2 * 16}
    assert variant.work == {"tokens": 2 * 2 * 16}
    assert plain.parameters["vocab_size"] == 32
    assert variant.parameters["activation"] == "composed, gated"
    assert plain.median is not None
    assert variant.median is not None
    expected = (variant.median / variant.flops) / (plain.median / plain.flops)
    assert variant.extra["time_per_flop_against_plain"] == pytest.approx(expected)


def test_the_largest_model_is_gpt_2() -> None:
    gpt = MODELS["gpt2-124m"].gpt()
    assert parameter_count(gpt.parameter_specs) == 124_439_808 - 768 * (1024 - 256)  # with positions for 256 tokens
    assert flops_per_token(gpt.config, gpt.parameter_specs).head == 2 * 768 * 50257


def test_greedy_decoding_reads_every_weight_once_for_each_token(session: Session) -> None:
    f32, int8 = (
        next(case for case in suite_named("infer").cases(session) if case.id == f"tiny-decode-1-{weights}")
        for weights in ("f32", "int8")
    )
    cache = 2 * 16 * 4 * sum(range(1, 16))  # keys and values of one layer of width 16, in f32
    weights = 12 * 16 * 16 + 32 * 16  # of one block, and the head
    assert f32.prepare(session).bytes == 15 * 4 * weights + cache
    assert int8.prepare(session).bytes == 15 * weights + cache


def test_a_precision_that_the_backend_has_not_is_skipped_with_the_reason(session: Session, monkeypatch) -> None:
    monkeypatch.setattr(type(session.backend), "set_matmul_dtype", _refuse_bf16)
    results = run_suites(["gemm"], session, pattern="square-*-nn-*")
    assert [(result.status, result.reason) for result in results] == [("ok", None), ("skipped", "no bf16 here")]


def _refuse_bf16(self: object, dtype: object) -> None:
    from alpha_core.dtype import DType
    from alpha_core.errors import BackendError

    if dtype is DType.bf16:
        raise BackendError("no bf16 here")


def test_a_case_that_raises_is_failed_and_the_others_go_on(session: Session, monkeypatch) -> None:
    monkeypatch.setattr(type(session.backend), "exp", lambda self, x: 1 / 0)
    results = run_suites(["ops"], session, pattern="*x*p")
    assert [(result.id, result.status, result.reason) for result in results] == [
        ("exp", "failed", "ZeroDivisionError: division by zero")
    ]


def test_ceilings_are_those_of_the_session_and_give_shares(session: Session) -> None:
    ceilings = measure_ceilings(session)
    assert set(ceilings.flops_per_second) == {"f32", "bf16"}
    assert set(ceilings.how) == {"f32", "bf16", "bytes"}
    assert all(rate > 1e6 for rate in (*ceilings.flops_per_second.values(), ceilings.bytes_per_second))


def test_a_roofline_names_the_ceiling_that_needs_the_longer_time() -> None:
    ceilings = Ceilings(flops_per_second={"f32": 100.0}, bytes_per_second=10.0)
    result = Result.of(suite="gemm", id="a", samples=[2.0], flops=100.0, bytes=4.0, parameters={"precision": "f32"})
    roofline = with_roofline(result, ceilings).roofline
    assert roofline is not None
    assert (roofline.flops_share, roofline.bytes_share, roofline.bound, roofline.share) == (0.5, 0.2, "flops", 0.5)
    cached = with_roofline(attrs.evolve(result, bytes=60.0), ceilings).roofline
    assert cached is not None
    assert (cached.bytes_share, cached.bound, cached.share) == (3.0, "cache", 0.5)
    unknown = with_roofline(Result.of(suite="ops", id="b", samples=[1.0]), ceilings)
    assert unknown.roofline is None
    other = Result.of(suite="gemm", id="c", samples=[2.0], flops=1.0, parameters={"precision": "bf16"})
    assert with_roofline(other, ceilings).roofline is None


def test_the_greatest_share_of_a_ceiling_is_not_far_above_one(session: Session) -> None:
    results = [with_roofline(result, measure_ceilings(session)) for result in run_suites(["gemm"], session)]
    shares = [result.roofline.share for result in results if result.roofline is not None]
    assert shares
    assert all(math.isfinite(share) and 0 < share < 20 for share in shares)


def test_all_means_every_suite_once() -> None:
    assert suites_of("gemm, all") == ["gemm", *(name for name in SUITES if name != "gemm")]


def test_an_unknown_suite_is_told_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match=r"(?s)no suite `gem`.*did you mean `gemm`"):
        suites_of("gem")


def test_a_pattern_without_a_case_is_refused(session: Session) -> None:
    with pytest.raises(UsageError, match="no case matches `7x\\*`"):
        select_cases(["gemm"], session, "7x*")
