"""Arguments are refused in the same words by an op's default and by every backend's own version of it."""

from collections.abc import Iterator

import pytest

pytest.importorskip("llvmlite")

from tests.conformance.test_composites import CompositesOnly

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, OpError
from alpha_helios.backend import Helios
from alpha_helios.vulkan.loader import reason_unavailable
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu_ref.backend import CpuRef
from alpha_testkit.op_cases import OP_CASES
from alpha_testkit.op_cases.case import Case

NAMES_ANOTHER_OP = {"minimum", "clamp_grad"}
"""Their defaults leave all checks to the op that they are made of, and so do those for dtypes."""
CASES = [
    Case(op, error, DType.f32)
    for op in OP_CASES.values()
    for error in op.errors
    if op.name not in NAMES_ANOTHER_OP and not issubclass(error.error, DTypeError)
]


@pytest.fixture(scope="module", params=[CompositesOnly, Cpu, Helios], ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    reason = reason_unavailable() if request.param is Helios else None
    if reason is not None:
        pytest.skip(f"no Vulkan device: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALPHA_CACHE", str(tmp_path_factory.mktemp("cache")))
        made: Backend = request.param()
        yield made
        made.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op.name}-{case.sample.name}")
def test_arguments_are_refused_in_the_same_words(backend: Backend, case: Case) -> None:
    assert _message(backend, case) == _message(CpuRef(), case)


def _message(backend: Backend, case: Case) -> str:
    with pytest.raises(OpError) as caught:
        case.op.call(getattr(backend, case.op.name), case.upload(backend, case.host()))
    return str(caught.value)
