"""The composites of the contract pass the kit too: what a backend is that implements the abstract ops alone."""

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.op import ops_of
from alpha_tensor.cpu_ref.backend import CpuRef
from alpha_testkit.backend import BackendConformance


class CompositesOnly(CpuRef):
    """`cpu_ref` with the defaults of the contract in place of everything that it overrides."""

    name = "composites_only"


for op_name, spec in ops_of(Backend).items():
    if not spec.abstract:
        setattr(CompositesOnly, op_name, getattr(Backend, op_name))


class TestComposites(BackendConformance):
    compute_dtypes = (DType.f32, DType.f64)

    def make_backend(self) -> Backend:
        return CompositesOnly()
