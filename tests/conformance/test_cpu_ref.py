"""The numpy reference passes the kit of backends, in both of its dtypes."""

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_tensor.cpu_ref.backend import CpuRef
from alpha_testkit.backend import BackendConformance


class TestCpuRef(BackendConformance):
    compute_dtypes = (DType.f32, DType.f64)

    def make_backend(self) -> Backend:
        return CpuRef()
