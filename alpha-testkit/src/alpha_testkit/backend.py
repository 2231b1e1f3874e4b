"""The conformance kit of backends."""

from alpha_testkit.backend_ops import OpTests
from alpha_testkit.backend_record import RecordTests
from alpha_testkit.backend_storage import StorageTests
from alpha_testkit.backend_tuning import TuningTests

__all__ = ["BackendConformance"]


class BackendConformance(OpTests, StorageTests, RecordTests, TuningTests, kit=True):
    """Holds a backend to the contract of `alpha_core.backend.Backend`, with float64 references.

    ```python
    class TestMyBackend(BackendConformance):
        compute_dtypes = (DType.f32,)

        def make_backend(self):
            return MyBackend()
    ```
    """
