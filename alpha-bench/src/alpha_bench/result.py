"""The result of one case: its samples, and what follows from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from alpha_bench.statistics import Summary

__all__ = ["IMPLEMENTATION", "OK", "Result", "Roofline"]

IMPLEMENTATION = "alpha"
OK, FAILED, SKIPPED = "ok", "failed", "skipped"


@attrs.frozen(kw_only=True)
class Roofline:
    """How near a case is to what the machine allows (Williams, Waterman, Patterson 2009)."""

    flops_share: float | None
    """Of the highest FLOP/s for its dtype."""
    bytes_share: float | None
    """Of the memory bandwidth; above 1 for what fits in a cache, where it is no ceiling."""

    @property
    def bound(self) -> str:
        """Which ceiling needs the longer time: `flops`, `bytes`, or `cache` where memory does not limit."""
        flops, moved = self.flops_share or 0.0, self.bytes_share or 0.0
        if flops >= moved:
            return "flops"
        return "cache" if moved > 1 else "bytes"

    @property
    def share(self) -> float:
        """The time that this ceiling needs as a share of the median; in a cache that of the FLOPs."""
        return (self.bytes_share if self.bound == "bytes" else self.flops_share) or 0.0

    def to_json(self) -> dict[str, Any]:
        return {**attrs.asdict(self), "bound": self.bound, "share": self.share}


@attrs.frozen(kw_only=True)
class Result:
    """What was measured of one case. Times are seconds, smaller ones are better."""

    suite: str
    id: str
    implementation: str = IMPLEMENTATION
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    """What was run: results with other parameters are not compared."""
    status: str = OK
    reason: str | None = None
    samples: Sequence[float] = ()
    warmup: int = 0
    calls: int = 1
    work: Mapping[str, float] = attrs.field(factory=dict)
    """Amounts done in one sample, by unit: `{"tokens": 4096}`."""
    flops: float | None = None
    """Least floating-point operations of a sample."""
    bytes: float | None = None
    """Least bytes that a sample reads and writes."""
    roofline: Roofline | None = None
    gauge: Mapping[str, Sequence[float]] = attrs.field(factory=dict)
    """What `alpha_bench.gauge.gauge` found before and after; empty where nobody asked."""
    extra: Mapping[str, Any] = attrs.field(factory=dict)
    memory_peak_bytes: int | None = None

    @classmethod
    def of(
        cls,
        *,
        suite: str,
        id: str,
        samples: Sequence[float],
        implementation: str = IMPLEMENTATION,
        parameters: Mapping[str, Any] | None = None,
        warmup: int = 0,
        calls: int = 1,
        work: Mapping[str, float] | None = None,
        flops: float | None = None,
        bytes: float | None = None,
        gauge: Mapping[str, Sequence[float]] | None = None,
        extra: Mapping[str, Any] | None = None,
        memory_peak_bytes: int | None = None,
    ) -> "Result":
        """Returns the result of a case that worked. Raises `ValueError` for no samples."""
        Summary.of(samples)
        return cls(
            suite=suite,
            id=id,
            implementation=implementation,
            parameters=parameters or {},
            samples=tuple(samples),
            warmup=warmup,
            calls=calls,
            work=work or {},
            flops=flops,
            bytes=bytes,
            gauge=gauge or {},
            extra=extra or {},
            memory_peak_bytes=memory_peak_bytes,
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """What two reports are matched by."""
        return self.suite, self.id, self.implementation

    @property
    def summary(self) -> Summary | None:
        return Summary.of(self.samples) if self.status == OK else None

    @property
    def median(self) -> float | None:
        return self.summary.median if self.summary is not None else None

    @property
    def rates(self) -> dict[str, float]:
        """Work a second, by unit: `{"tokens_per_second": 11702.8}`."""
        return {f"{unit}_per_second": rate for unit, amount in self.work.items() if (rate := self._rate(amount))}

    def to_json(self) -> dict[str, Any]:
        """Returns the result as the document of `alpha_bench.report` has it."""
        summary = self.summary
        figures = attrs.asdict(summary) if summary is not None else dict.fromkeys(f.name for f in attrs.fields(Summary))
        return {
            "suite": self.suite,
            "id": self.id,
            "implementation": self.implementation,
            "parameters": dict(self.parameters),
            "status": self.status,
            "reason": self.reason,
            "samples": list(self.samples),
            "warmup": self.warmup,
            "calls": self.calls,
            **figures,
            "work": dict(self.work),
            "rates": self.rates,
            "flops": self.flops,
            "bytes": self.bytes,
            "flops_per_second": self._rate(self.flops),
            "bytes_per_second": self._rate(self.bytes),
            "roofline": self.roofline.to_json() if self.roofline is not None else None,
            "gauge": {name: list(samples) for name, samples in self.gauge.items()},
            "extra": dict(self.extra),
            "memory_peak_bytes": self.memory_peak_bytes,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Result":
        """Reads what `to_json` returned. Raises `KeyError`, `TypeError` and `ValueError` for anything else."""
        roofline = content["roofline"]
        names = [field.name for field in attrs.fields(cls) if field.name != "roofline"]
        result = cls(
            **{name: content[name] for name in names},
            roofline=None
            if roofline is None
            else Roofline(**{name: roofline[name] for name in ("flops_share", "bytes_share")}),
        )
        if result.status not in (OK, FAILED, SKIPPED):
            raise ValueError(f"`{result.status}` is no status of a case")
        if not all(isinstance(name, str) for name in result.key):
            raise TypeError("`suite`, `id` and `implementation` are texts")
        if result.status == OK:
            Summary.of(result.samples)
        return result

    def _rate(self, amount: float | None) -> float | None:
        return amount / self.median if amount is not None and self.median else None
