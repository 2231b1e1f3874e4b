"""The kit of backends finds faults, and names the op that has them."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

FAULTY_BACKENDS = Path(__file__).with_name("faulty_backends.py").read_text(encoding="utf-8")
KIT = """
from alpha_testkit import BackendConformance

class TestFaulty(BackendConformance):
    def make_backend(self):
        return {backend}()
"""


def failed_tests(pytester: pytest.Pytester, backend: str, *options: str) -> set[str]:
    """Runs the kit on one of the faulty backends and returns the names of the tests that failed."""
    pytester.makepyfile(test_kit=FAULTY_BACKENDS + KIT.format(backend=backend))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "error", "--tb=no", "-q", *options)
    return {line.split("::")[-1].split(" ")[0] for line in result.outlines if line.startswith("FAILED")}


def test_faults_of_ops_are_found_by_name(pytester: pytest.Pytester) -> None:
    failed = failed_tests(pytester, "FaultyOps")
    assert {
        "test_forward[softmax-f32-large]",  # overflows
        "test_forward[rms_norm_grad-f32-odd]",  # a term is missing
        "test_gradient[rms_norm-f32-odd]",
        "test_arguments[rotary-f32]",  # writes to its argument
        "test_determinism[sum_of_squares-f32]",  # adds up in another order
        "test_non_finite[matmul-f32-nan]",  # NaN leaks into another row
        "test_forward[argmax-f32-ties]",  # the last of equal values
        "test_attention_is_causal[f32]",  # the future shows
        "test_forward[dropout_mask-f32-wide-numbers]",  # other bits
        "test_signature[clamp]",  # an argument too many
        "test_results_are_their_own[cast-f32]",  # returns its argument
        "test_gradient[cast-f32-odd]",  # so that the tape counts its gradient twice
    } <= failed
    named = {match[1] for name in failed if (match := re.match(r"test_\w+\[(\w+)", name))} - {"f32", "f64"}
    faulty = {"softmax", "rms_norm_grad", "rotary", "sum_of_squares", "matmul", "argmax", "attention", "dropout_mask"}
    built_on_them = {"rms_norm", "cross_entropy_grad", "attention_grad", "dropout", "global_norm", "clamp", "cast"}
    built_on_them |= {"choose_token"}
    assert faulty <= named - {"bf16", "f16"} <= faulty | built_on_them


def test_faults_of_storage_are_found(pytester: pytest.Pytester) -> None:
    failed = failed_tests(pytester, "FaultyStorage", "-k", "upload or round_trip or cast")
    assert {"test_upload_rounds_to_nearest_even[f32-bf16]", "test_upload_copies[f64]"} <= failed
    assert "test_upload_copies[f32]" not in failed
    assert "test_upload_rounds_to_nearest_even[f32-f16]" not in failed


def test_faults_of_recording_are_found(pytester: pytest.Pytester) -> None:
    failed = failed_tests(pytester, "FaultyRecorder", "-k", "test_record")
    assert {
        "test_record_reads_captured_tensors_anew[f32]",
        "test_record_draws_dropout_anew[f32]",
        "test_record_keeps_the_order_of_reads_and_writes[f32]",
        "test_record_additive[f32]",
    } <= failed
    assert "test_record[exp-f32]" not in failed


def test_faults_of_tuning_are_found(pytester: pytest.Pytester) -> None:
    failed = failed_tests(pytester, "FaultyTuning", "-k", "short_products or matmul_dtype or knobs or trace")
    assert failed == {"test_short_products[bf16]", "test_knobs_refuse", "test_knobs_keep_results", "test_trace"}


def test_a_backend_with_undeclared_dtypes_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from alpha_tensor.cpu_ref.backend import CpuRef
        from alpha_testkit import BackendConformance

        class TestOneDtype(BackendConformance):
            def make_backend(self):
                return CpuRef()
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--tb=short", "-q", "-k", "test_compute_dtypes")
    result.assert_outcomes(failed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines(["*Extra items in the right set:*"])  # asserts of the kit explain themselves


def test_a_kit_without_a_backend_says_what_to_define(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("from alpha_testkit import BackendConformance\nclass TestNothing(BackendConformance): ...")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q", "-k", "test_description")
    result.stdout.fnmatch_lines(["*`TestNothing` must define `make_backend`*"])
