"""The document that a benchmark writes: what measured, its ceilings, and the results.

`docs/benchmarking.md` has every key.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from alpha_bench import machine as this_machine
from alpha_bench.ceilings import Ceilings
from alpha_bench.machine import Machine
from alpha_bench.result import Result
from alpha_core.backend import Backend
from alpha_core.errors import DataError
from alpha_train.json_file import read_json, write_json

__all__ = ["SCHEMA", "BackendFacts", "Report", "read_report"]

SCHEMA = "alpha-bench/1"
"""The name of the layout and its version; another version is refused."""


@attrs.frozen(kw_only=True)
class BackendFacts:
    """The backend that computed."""

    name: str
    description: str
    knobs: Mapping[str, int] = attrs.field(factory=dict)

    @classmethod
    def of(cls, backend: Backend) -> "BackendFacts":
        return cls(
            name=backend.name,
            description=backend.description,
            knobs={knob.name: knob.value for knob in backend.knobs},
        )

    def to_json(self) -> dict[str, Any]:
        return {**attrs.asdict(self), "threads": self.knobs.get("threads")}


@attrs.frozen(kw_only=True)
class Report:
    """Results with everything that one needs to judge them."""

    created: str
    """UTC, ISO 8601."""
    command: str
    machine: Machine
    versions: Mapping[str, str | None]
    results: Sequence[Result]
    backend: BackendFacts | None = None
    quick: bool = False
    commit: str | None = None
    environment: Mapping[str, str] = attrs.field(factory=dict)
    load: float | None = None
    ceilings: Ceilings | None = None

    @classmethod
    def here(
        cls,
        *,
        command: str,
        results: Sequence[Result],
        backend: BackendFacts | None = None,
        versions: Mapping[str, str] | None = None,
        quick: bool = False,
        load: float | None = None,
        ceilings: Ceilings | None = None,
    ) -> "Report":
        """Returns the report of results that were measured on this machine just now.

        `versions` are further ones; `load` is that from before the measurements, which are load themselves.
        """
        return cls(
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=command,
            machine=Machine.here(),
            versions=this_machine.versions(versions),
            results=results,
            backend=backend,
            quick=quick,
            commit=this_machine.commit(),
            environment=this_machine.environment(),
            load=load if load is not None else this_machine.load_average(),
            ceilings=ceilings,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the document as JSON values."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "command": self.command,
            "quick": self.quick,
            "machine": {**attrs.asdict(self.machine), "features": list(self.machine.features)},
            "backend": self.backend.to_json() if self.backend is not None else None,
            "versions": dict(self.versions),
            "commit": self.commit,
            "environment": dict(self.environment),
            "load": self.load,
            "ceilings": attrs.asdict(self.ceilings) if self.ceilings is not None else None,
            "cases": [result.to_json() for result in self.results],
        }

    def to_text(self) -> str:
        """Returns the document as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def write(self, path: Path) -> None:
        """Writes the document. Raises `DataError` if that fails."""
        write_json(path, self.to_json(), DataError)


def read_report(path: Path) -> Report:
    """Reads what `Report.write` wrote. Raises `DataError`, naming what is wrong, for anything else."""
    content = read_json(path, DataError)
    schema = content.get("schema")
    if schema != SCHEMA:
        found = f"has the schema `{schema}`" if isinstance(schema, str) else "has no `schema`"
        raise DataError(f"`{path}` {found}, and this Alpha reads `{SCHEMA}`", hint="write it with `alpha bench --out`")
    try:
        backend, ceilings = content["backend"], content["ceilings"]
        return Report(
            **{name: content[name] for name in ("created", "command", "quick", "versions", "commit", "environment")},
            load=content["load"],
            machine=Machine(**content["machine"]),
            backend=None
            if backend is None
            else BackendFacts(**{name: backend[name] for name in ("name", "description", "knobs")}),
            ceilings=None if ceilings is None else Ceilings(**ceilings),
            results=[Result.from_json(case) for case in content["cases"]],
        )
    except KeyError as error:
        raise DataError(f"`{path}` is damaged: it has no {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"`{path}` is damaged: {error}") from error
