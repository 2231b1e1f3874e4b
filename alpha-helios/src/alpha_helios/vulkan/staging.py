"""Transfers between the host and device memory, through memory that both see."""

from collections import deque
from typing import Any

import numpy as np

from alpha_core.errors import BackendError
from alpha_helios.vulkan.commands import CommandList, CommandPool
from alpha_helios.vulkan.memory import Allocation, Memory
from alpha_helios.vulkan.timeline import Queue

__all__ = ["Download", "Staging"]

RING_BYTES = 32 << 20
_ALIGNMENT = 64  # what copies like best
_PIECES = 4  # of a ring; while one is copied by the device, the next is filled
_TO_OWN_QUEUE = 256 << 10  # from this size on, a transfer is worth waiting for another queue


class Download:
    """Bytes on their way from the device; they are as of when it was asked for, whatever is submitted later."""

    def __init__(self, place: Allocation, queue: Queue, value: int, what: str) -> None:
        self._place: Allocation | None = place
        self._queue = queue
        self._value = value
        self._what = what
        self._bytes = b""

    def ready(self) -> bool:
        """Returns, without waiting, whether the bytes are there."""
        return self._place is None or self._queue.reached(self._value)

    def result(self, timeout: float | None = None) -> bytes:
        """Waits for the bytes and returns them. Raises `DeviceTimeoutError` or `DeviceLostError`."""
        if self._place is not None:
            self._queue.wait(self._value, self._what, timeout)
            assert self._place.host is not None
            self._bytes = bytes(self._place.host)
            self._place.free()
            self._place = None
        return self._bytes


class Staging:
    """Uploads through a ring; downloads through places of their own.

    A transfer sees what was submitted to the compute queue before, and is seen by what is submitted there later. With a
    queue for transfers, large ones run beside the kernels that do not depend on them.
    """

    def __init__(
        self, compute: CommandPool, transfer: CommandPool | None, host_memory: Memory, ring_bytes: int = RING_BYTES
    ) -> None:
        self._compute = compute
        self._transfer = transfer
        self._host_memory = host_memory
        self._ring_bytes = ring_bytes
        self._piece = max(1, ring_bytes // _PIECES)
        self._ring: Allocation | None = None
        self._view = np.empty(0, np.uint8)
        self._head = 0
        self._in_flight: deque[tuple[int, int, Queue, int]] = deque()
        self._pending: int = 0
        """The last submission of the transfer queue that the compute queue has not waited for."""

    def waits(self) -> list[tuple[Queue, int]]:
        """Returns what the next submission to the compute queue has to wait for, once."""
        if not self._pending or self._transfer is None:
            return []
        waits = [(self._transfer.queue, self._pending)]
        self._pending = 0
        return waits

    def upload(
        self, target: Allocation, array: Any, offset: int = 0, after: int | None = None, what: str = "an upload"
    ) -> None:
        """Copies an array's bytes to `offset` of a place; returns as soon as the array may change.

        `after` is the submission of the compute queue that has to be done with the place; None means all so far.
        """
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        check_range(target, offset, data.nbytes)
        if not data.nbytes:
            return
        with self._compute.device.lock:
            queue = self._compute.queue
            if target.host is not None and self._idle():
                np.frombuffer(target.host, np.uint8)[offset : offset + data.nbytes] = data
                return
            own = self._transfer is not None and data.nbytes >= _TO_OWN_QUEUE
            dependency = queue.submitted if after is None else after
            for start in range(0, data.nbytes, self._piece):
                piece = data[start : start + self._piece]
                place = self._reserve(piece.nbytes)
                self._view[place : place + piece.nbytes] = piece
                commands = self._commands(own, what)
                assert self._ring is not None
                commands.copy(self._ring, target, piece.nbytes, place, offset + start)
                sent, value = self._send(commands, own, dependency, what)
                self._in_flight.append((place, piece.nbytes, sent, value))

    def download(
        self, source: Allocation, offset: int = 0, nbytes: int | None = None, what: str = "a download"
    ) -> bytearray:
        """Waits for all kernels so far and returns bytes of a place."""
        count = source.nbytes - offset if nbytes is None else nbytes
        check_range(source, offset, count)
        out = bytearray(count)
        queue = self._compute.queue
        if source.host is not None:
            for pending, value in self.waits():
                pending.wait(value, what)
            queue.wait(queue.submitted, what)
            out[:] = source.host[offset : offset + count]
            return out
        pieces: deque[tuple[int, Download]] = deque()
        for start in range(0, count, self._piece):
            size = min(self._piece, count - start)
            pieces.append((start, self.start_download(source, offset + start, size, what)))
            if len(pieces) > 1:
                _collect(out, *pieces.popleft())
        for start, piece in pieces:
            _collect(out, start, piece)
        return out

    def start_download(
        self, source: Allocation, offset: int = 0, nbytes: int | None = None, what: str = "a download"
    ) -> Download:
        """Asks for bytes of a place as all submissions so far leave it, and does not wait for them."""
        count = source.nbytes - offset if nbytes is None else nbytes
        check_range(source, offset, count)
        with self._compute.device.lock:
            place = self._host_memory.allocate(count, what)
            own = self._transfer is not None and count >= _TO_OWN_QUEUE
            commands = self._commands(own, what)
            commands.copy(source, place, count, offset)
            queue, value = self._send(commands, own, self._compute.queue.submitted, what)
            return Download(place, queue, value, what)

    def close(self) -> None:
        """Gives the ring back; nothing may be running."""
        self._view = np.empty(0, np.uint8)
        if self._ring is not None:
            self._ring.free()
            self._ring = None

    def _idle(self) -> bool:
        queue = self._compute.queue
        transfers = self._transfer.queue if self._transfer is not None else queue
        return queue.reached(queue.submitted) and transfers.reached(transfers.submitted)

    def _commands(self, own: bool, what: str) -> CommandList:
        pool = self._transfer if own and self._transfer is not None else self._compute
        return CommandList(pool, what, reusable=False)

    def _send(self, commands: CommandList, own: bool, dependency: int, what: str) -> tuple[Queue, int]:
        if own and self._transfer is not None:
            value = commands.submit([(self._compute.queue, dependency)], what)
            self._pending = value
            return self._transfer.queue, value
        return self._compute.queue, commands.submit(self.waits(), what)

    def _reserve(self, nbytes: int) -> int:
        """Returns where in the ring there is room, after waiting for the oldest transfers if need be."""
        if self._ring is None:
            self._ring = self._host_memory.allocate(self._ring_bytes, "the staging ring")
            assert self._ring.host is not None
            self._view = np.frombuffer(self._ring.host, np.uint8)
        while self._in_flight and self._in_flight[0][2].reached(self._in_flight[0][3]):
            self._in_flight.popleft()
        start = -(-self._head // _ALIGNMENT) * _ALIGNMENT
        if start + nbytes > self._ring_bytes:
            start = 0
        end = start + nbytes
        while any(start < place + size and place < end for place, size, _, _ in self._in_flight):
            _, _, queue, value = self._in_flight.popleft()  # the oldest goes first, whichever is in the way
            queue.wait(value, "an upload")
        self._head = end
        return start


def check_range(place: Allocation, offset: int, nbytes: int) -> None:
    """Raises `BackendError` unless the bytes are within a place."""
    if offset < 0 or nbytes < 0 or offset + nbytes > place.nbytes:
        raise BackendError(f"bytes {offset} to {offset + nbytes} are not within a place of {place.nbytes}")


def _collect(out: bytearray, start: int, piece: Download) -> None:
    data = piece.result()
    out[start : start + len(data)] = data
