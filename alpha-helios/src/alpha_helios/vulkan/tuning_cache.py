"""What was measured about kernels on a device, kept on disk."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from alpha_core.file_cache import FileCache
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.pipeline_cache import cache_key

__all__ = ["TuningCache"]


class TuningCache:
    """A record (JSON) for each key, such as the fastest variant of a kernel for a shape.

    Damaged, foreign or missing records are None; where the disk cannot be written, records last as long as the process.
    """

    def __init__(self, info: DeviceInfo, files: FileCache | None = None) -> None:
        self._device = cache_key(info)
        self._files = files or FileCache("tuning", suffix=".json")
        self._known: dict[str, dict[str, Any]] = {}

    def read(self, key: str) -> dict[str, Any] | None:
        """Returns a record, or None."""
        if key not in self._known:
            stored = self._files.read(self._file(key))
            if stored is None:
                return None
            try:
                record = json.loads(stored)
            except ValueError:
                return None
            if not isinstance(record, dict) or record.get("key") != key or not isinstance(record.get("value"), dict):
                return None
            self._known[key] = record["value"]
        return dict(self._known[key])

    def write(self, key: str, value: Mapping[str, Any]) -> None:
        """Stores a record."""
        self._known[key] = dict(value)
        self._files.write(self._file(key), json.dumps({"key": key, "value": self._known[key]}).encode())

    def _file(self, key: str) -> str:
        return hashlib.sha256(f"{self._device} {key}".encode()).hexdigest()
