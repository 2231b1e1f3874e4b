"""`alpha gpuinfo`."""

import json as json_format
from typing import Annotated

from alpha_core.command import CommandApp

__all__ = ["add_gpuinfo"]

_EXAMPLES = ("alpha gpuinfo", "alpha gpuinfo --json")


def add_gpuinfo(app: CommandApp) -> None:
    """Adds the command `gpuinfo`."""

    @app.command(
        "gpuinfo",
        help="Says which GPUs there are, and what `helios` makes of them.\n\nFor each device: driver, memory, limits,"
        " matrix units. The one that is used is opened, and tested if it was not before: which fast paths are on, and"
        " why the others are off. At the end, what `--backend=auto` takes.",
        examples=_EXAMPLES,
    )
    def gpuinfo(*, json: Annotated[bool, "Print JSON."] = False) -> None:
        from alpha_helios.gpuinfo import gpu_report
        from alpha_helios.gpuinfo_text import report_lines

        report = gpu_report(app.plugins)
        if json:
            print(json_format.dumps(report.to_json(), indent=2))
        else:
            print(*report_lines(report), sep="\n")
