"""`--trace` of `alpha train`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from alpha_core.errors import UsageError

if TYPE_CHECKING:
    from alpha_train.trace import Tracer

__all__ = ["Tracing"]


@attrs.frozen(eq=False)
class Tracing:
    """What notes the steps, and the file that they go to."""

    path: Path
    tracer: "Tracer"

    @classmethod
    def of(cls, path: Path, steps: str) -> "Tracing":
        """Reads what a command line says. Raises `UsageError`, also for a file that could not be written later."""
        from alpha_train.trace import Tracer

        first, dash, last = steps.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise UsageError(f"`--trace-steps` is `{steps}`; two numbers of steps are needed, such as `5-14`")
        if path.is_dir() or not path.parent.is_dir():
            reason = "it is a folder" if path.is_dir() else f"there is no folder `{path.parent}`"
            raise UsageError(f"the trace `{path}` cannot be written: {reason}")
        return cls(path, Tracer(int(first), int(last if dash else first)))

    def finish(self) -> Iterator[str]:
        """Writes the file, and yields the lines of the tables."""
        from alpha_train.trace import write_chrome_trace
        from alpha_train.trace_text import trace_lines

        yield ""
        yield from trace_lines(self.tracer)
        if self.tracer.steps:
            write_chrome_trace(self.path, [*self.tracer.phases, *self.tracer.kernels])
            yield f"the trace is in {self.path}; open it with Perfetto (ui.perfetto.dev)"
