"""The backend `helios`: any GPU with Vulkan, through kernels whose SPIR-V is made here."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.errors import BackendError
from alpha_core.knob import Knob
from alpha_core.recording.step import Recording, Step
from alpha_core.tensor import Tensor
from alpha_core.trace import Span
from alpha_helios.compiler import Compiler
from alpha_helios.eager import EagerQueue
from alpha_helios.fast_paths import Paths
from alpha_helios.ops import HeliosOps
from alpha_helios.peak import peak_flops
from alpha_helios.program import HeliosProgram
from alpha_helios.selftest import ensure_values
from alpha_helios.tuner import Tuner
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.settings import memory_limit

__all__ = ["Helios", "allowed_bytes"]

_MATMUL_DTYPES = (DType.f32, DType.f16, DType.bf16)


class Helios(HeliosOps):
    """Computes in f32. With products of f16 or bf16 operands, activations are stored in that dtype as well."""

    name = "helios"
    compute_dtypes = (DType.f32,)
    is_asynchronous = True

    def __init__(self, device: Device | None = None, *, tune: bool | None = None) -> None:
        """Opens the device that `ALPHA_HELIOS_DEVICE` says, or the best one, unless one is given.

        `tune` lets kernels that have variants be timed on the device when they are first recorded (default:
        `ALPHA_HELIOS_TUNE`); otherwise a rule chooses. What the device computes is tested first, unless that was done
        before; see `alpha_helios.selftest`.
        """
        super().__init__()
        self.device = device or Device()
        self.paths = Paths(self.device)
        self.compiler = Compiler(self.device)
        self.queue = EagerQueue(self.device, self.compiler)
        measures = os.environ.get("ALPHA_HELIOS_TUNE", "") not in ("", "0") if tune is None else tune
        self.tuner = Tuner(self.device, self.compiler, measures=measures and self.device.computes)
        self.matmul_dtype = DType.f32
        self.tracer: list[Span] | None = None
        if self.device.computes:
            try:
                ensure_values(self)
            except BaseException:
                self.device.close()
                raise

    @property
    def memory_bytes(self) -> int | None:
        return allowed_bytes(self.info)

    @property
    def description(self) -> str:
        return f"helios ({self.info.name}, {self.info.driver})"

    def record(
        self,
        function: Callable[..., Sequence[Tensor]],
        example_inputs: Sequence[npt.NDArray[Any]],
        *,
        name: str,
        additive: bool = False,
    ) -> HeliosProgram:
        recording = self.recorder = Recording()
        try:
            inputs = [self.empty(array.shape, DType.of(array)) for array in example_inputs]
            outputs = [self.contiguous(output) for output in function(*inputs)]
        finally:
            self.recorder = None
        step = Step.of(recording.launches, outputs, inputs)
        return HeliosProgram(self, name, example_inputs, step, inputs, additive=additive)

    def set_matmul_dtype(self, dtype: DType) -> None:
        if dtype not in _MATMUL_DTYPES:
            able = ", ".join(known.value for known in _MATMUL_DTYPES)
            raise BackendError(f"backend `helios` multiplies in {able}, not in {dtype.value}")
        if dtype is not DType.f32 and "16bit" in self.paths.off:
            raise BackendError(
                f"backend `helios` has no products of {dtype.value} on `{self.info.name}`: {self.paths.off['16bit']}",
                hint="`--precision=f32` needs no storage of 16 bits",
            )
        self.matmul_dtype = dtype

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return (
            Knob(
                "tune",
                "1 measures the ways to compute a product; 0 takes what was measured before, or a rule.",
                int(self.tuner.measures),
                (0, 1),
                True,
            ),
            Knob(
                "queue",
                "Launches outside of programs that are handed over at once.",
                self.queue.most,
                (32, 128, 512),
                False,
            ),
        )

    def set_knob(self, name: str, value: int) -> None:
        super().set_knob(name, value)
        if name == "tune":
            self.tuner.measures = bool(value) and self.device.computes
        else:
            self.queue.most = value

    def peak_flops(self, dtype: DType) -> float | None:
        return peak_flops(self, dtype) if self.device.computes else None

    def start_trace(self) -> None:
        self.tracer = []

    def stop_trace(self) -> list[Span]:
        spans, self.tracer = self.tracer or [], None
        return spans

    def close(self) -> None:
        self.queue.flush()
        self.device.close()


def allowed_bytes(info: DeviceInfo) -> int:
    """Returns how much memory of a device tensors may take."""
    limit = memory_limit()
    return info.memory_bytes if limit is None else min(info.memory_bytes, limit)
