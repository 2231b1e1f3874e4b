"""What the server counts, for Prometheus."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["Telemetry"]


class Telemetry:
    """Counters and times of one server. Names end in their unit; nothing names a run."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, namespace="alpha", subsystem="ingest", registry=self._registry)
        histogram = partial(Histogram, namespace="alpha", subsystem="ingest", registry=self._registry)
        self.requests = counter("requests", "Requests by route and status.", ["route", "status"])
        self.seconds = histogram("request_seconds", "Time from a request to its answer.", ["route"])
        self.received = counter("received_bytes", "Bytes of bodies.", ["route"])
        self.messages = counter("messages", "Messages stored, by type.", ["type"])
        self.steps = counter("steps", "Rows of metrics stored.")
        self.files = counter("files", "Files that arrived complete.")
        self.database_errors = counter("database_errors", "Requests that the database failed.")

    def text(self) -> bytes:
        """Returns everything in the text format of Prometheus."""
        return generate_latest(self._registry)
