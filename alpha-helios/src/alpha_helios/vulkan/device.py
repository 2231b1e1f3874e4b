"""A device of Vulkan: memory, transfers, kernels and submissions in one place."""

from collections.abc import Iterable, Mapping, Sequence

from alpha_core.file_cache import FileCache
from alpha_helios.vulkan.commands import CommandList, CommandPool
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.errors import DeviceLostError, ValidationError
from alpha_helios.vulkan.logical_device import LogicalDevice, OpenDevice
from alpha_helios.vulkan.memory import Memory
from alpha_helios.vulkan.pipeline_cache import PipelineCache
from alpha_helios.vulkan.pipelines import Kernel, Pipeline, Pipelines
from alpha_helios.vulkan.settings import memory_limit, wait_limit
from alpha_helios.vulkan.slabs import device_slabs, host_slabs
from alpha_helios.vulkan.staging import RING_BYTES, Staging
from alpha_helios.vulkan.timeline import Queue
from alpha_helios.vulkan.timestamps import Clock, Timestamps
from alpha_helios.vulkan.tuning_cache import TuningCache
from alpha_helios.vulkan.validation import Message

__all__ = ["Device"]

_HOST_SLAB_BYTES = 1 << 20


class Device:
    """An open device, as a context manager. Any thread may use it; submissions are made one at a time."""

    computes = True
    """Whether it runs what is submitted, and does not only count it."""

    def __init__(
        self,
        selection: str | None = None,
        *,
        validate: bool | None = None,
        mapped: bool | None = None,
        ring_bytes: int = RING_BYTES,
        pipeline_files: FileCache | None = None,
        tuning_files: FileCache | None = None,
    ) -> None:
        """Opens the device whose index or part of whose name is `selection`, or `ALPHA_HELIOS_DEVICE`, or the first.

        Memory that the processor shares with the device is mapped, unless `mapped` is False: then everything goes
        through the staging ring, as on a discrete GPU. `validate` turns the validation layer on or off (default:
        `ALPHA_HELIOS_VALIDATION`). Raises `BackendError` if there is no such device or it cannot be used.
        """
        memory_limit(), wait_limit()  # a mistake in the environment shows before anything is open
        self._set_up(OpenDevice(selection, validate), mapped, ring_bytes, pipeline_files, tuning_files)

    def _set_up(
        self,
        device: LogicalDevice,
        mapped: bool | None = None,
        ring_bytes: int = RING_BYTES,
        pipeline_files: FileCache | None = None,
        tuning_files: FileCache | None = None,
    ) -> None:
        """Makes the parts, which all work on one device."""
        self._logical = device
        self._ring_bytes = ring_bytes
        self._make_memory(mapped)
        self.host_memory = Memory(host_slabs(device), device.lock, self._wait_idle, _HOST_SLAB_BYTES)
        """Memory of the processor that the device can copy to and from."""
        self._queue = Queue(device, device.compute_family, "kernels")
        self._commands = CommandPool(device, self._queue, compute=True)
        self._transfer = None
        if device.transfer_family is not None:
            transfer_queue = Queue(device, device.transfer_family, "transfers")
            self._transfer = CommandPool(device, transfer_queue, compute=False)
        self.staging = Staging(self._commands, self._transfer, self.host_memory, ring_bytes)
        self._cache = PipelineCache(device, pipeline_files)
        self.pipelines = Pipelines(device, self._cache)
        self.tuning = TuningCache(device.info, tuning_files)
        self._clock = Clock(device, self._now)
        self._timestamps: list[Timestamps] = []

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def info(self) -> DeviceInfo:
        """What the device is, and what kernels may use of it; set to less, kernels do without the rest."""
        return self._logical.info

    @info.setter
    def info(self, info: DeviceInfo) -> None:
        self._logical.info = info

    @property
    def features(self) -> frozenset[str]:
        """What kernels may require."""
        return self.info.features

    @property
    def has_transfer_queue(self) -> bool:
        """Whether large transfers have a queue of their own."""
        return self._transfer is not None

    @property
    def maps_memory(self) -> bool:
        """Whether the processor reaches the memory of tensors."""
        return self._slabs.mapped

    def drop_transfer_queue(self) -> None:
        """Leaves all transfers to the queue of the kernels from now on."""
        if self._transfer is not None:
            self._wait_idle()
            self.staging.close()
            self._transfer.close()
            self._transfer.queue.close()
            self._transfer = None
            self.staging = Staging(self._commands, None, self.host_memory, self._ring_bytes)

    def drop_mapping(self) -> None:
        """Sends everything through the staging ring from now on. No tensor may exist yet."""
        if self.memory.allocated_bytes:
            raise ValueError("the memory of tensors that exist cannot be exchanged")
        self.memory.close()
        self._make_memory(mapped=False)

    def _make_memory(self, mapped: bool | None) -> None:
        self._slabs = device_slabs(self._logical, mapped)
        self.memory = Memory(self._slabs, self._logical.lock, self._wait_idle)

    @property
    def messages(self) -> list[Message]:
        """Everything that the validation layer said."""
        validation = self._logical.validation
        return [] if validation is None else validation.messages

    def compile(
        self,
        words: bytes,
        name: str,
        requirements: Iterable[str] = (),
        push_bytes: int = 0,
        *,
        subgroup_size: int | None = None,
        full_subgroups: bool = False,
        specialization: Mapping[int, int | float] | None = None,
    ) -> Pipeline:
        """Returns the pipeline of one kernel; see `Kernel`. Many are made faster with `prepare`."""
        return self.pipelines.compile(
            Kernel(
                name=name,
                words=words,
                requirements=frozenset(requirements),
                push_bytes=push_bytes,
                subgroup_size=subgroup_size,
                full_subgroups=full_subgroups,
                specialization=specialization or {},
            )
        )

    def prepare(self, kernels: Sequence[Kernel]) -> list[Pipeline]:
        """Returns the pipelines of many kernels, compiled in parallel."""
        return self.pipelines.prepare(kernels)

    def record(self, name: str, *, reusable: bool = False) -> CommandList:
        """Begins a list of commands; a `reusable` one may be submitted again and again and is closed by its owner."""
        self._logical.alive()
        return CommandList(self._commands, name, reusable)

    def submit(self, commands: CommandList, what: str | None = None) -> int:
        """Hands a list to the device and returns the number of the submission, for `wait`.

        It runs after everything that was submitted or uploaded before. `what` is named in errors (default: the name of
        the list).
        """
        with self._logical.lock:
            return commands.submit(self.staging.waits(), what)

    @property
    def submitted(self) -> int:
        """The number of the last submission."""
        return self._queue.submitted

    def done(self, value: int) -> bool:
        """Returns, without waiting, whether a submission is done."""
        return self._queue.reached(value)

    def wait(self, value: int | None = None, what: str = "the work", timeout: float | None = None) -> None:
        """Waits until a submission is done (default: all), at most `timeout` seconds or `ALPHA_HELIOS_TIMEOUT_S`.

        Raises `DeviceTimeoutError` or `DeviceLostError`, which name `what`.
        """
        self._queue.wait(self._queue.submitted if value is None else value, what, timeout)

    def trim(self) -> int:
        """Waits for everything and gives memory that nobody owns back to the driver; returns its bytes."""
        return self.memory.trim() + self.host_memory.trim()

    def timestamps(self, count: int) -> Timestamps:
        """Returns room for timestamps, which its owner closes, or the device. Raises `BackendError` if it has none."""
        timestamps = Timestamps(self._logical, count)
        self._timestamps = [*(known for known in self._timestamps if known.pool is not None), timestamps]
        return timestamps

    def seconds(self, ticks: int) -> float:
        """Returns a timestamp in seconds of `time.perf_counter`."""
        return self._clock.seconds(ticks)

    def calibrate(self) -> None:
        """Compares the clocks of host and device anew, for exact `seconds`."""
        self._clock.calibrate()

    def close(self) -> None:
        """Waits for the device and gives everything back. Raises `ValidationError` for what the layer says to that."""
        if self._logical.handle is None:
            return
        objection = None
        try:
            self._wait_idle()
            self._cache.save()
        except DeviceLostError:
            pass  # it was said when it was noticed
        except ValidationError as error:
            objection = error
        for timestamps in self._timestamps:
            timestamps.close()
        self._cache.close()
        self.pipelines.close()
        self.staging.close()
        for pool in (self._commands, self._transfer):
            if pool is not None:
                pool.close()
                pool.queue.close()
        self.memory.close()
        self.host_memory.close()
        self._logical.close()
        if objection is not None:
            raise objection

    def _wait_idle(self) -> None:
        self.wait()
        if self._transfer is not None:
            queue = self._transfer.queue
            queue.wait(queue.submitted, "transfers")

    def _now(self) -> int:
        timestamps = Timestamps(self._logical, 1)
        commands = self.record("a look at the clock")
        commands.reset_timestamps(timestamps)
        commands.timestamp(timestamps, 0)
        self.wait(self.submit(commands), "a look at the clock")
        (ticks,) = timestamps.read()
        timestamps.close()
        return ticks
