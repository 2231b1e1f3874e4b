"""`alpha datagen abc | chords | dumb_finance | chaos`."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.errors import UsageError
from alpha_train.commands.notes import note
from alpha_train.datagen.kinds import KINDS, Kind

__all__ = ["add_datagen", "parse_size"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_STANDARD_OUTPUT = Path("-")


def add_datagen(app: CommandApp) -> None:
    """Adds the group `datagen`."""
    group = app.group("datagen", help="Makes training text by rules, from a seed.")
    for kind in KINDS:
        group.command(
            kind.name,
            help=f"{kind.summary}\n\nTrain on it with `alpha train --domain={kind.name} --data={kind.name}.txt`.",
            examples=(f"alpha datagen {kind.name} --size=1MB --seed=1 --out={kind.name}.txt",),
        )(_command(kind))


def _command(kind: Kind) -> Callable[..., None]:
    def datagen(
        *,
        size: Annotated[str, "How much at most: 500000, 200kB, 1MB, 2GiB."] = "1MB",
        seed: Annotated[int, "Another seed makes another text."] = 0,
        out: Annotated[Path, "The file to write; - is standard output."] = _STANDARD_OUTPUT,
        force: Annotated[bool, "Replace the file if it exists."] = False,
    ) -> None:
        from alpha_train.atomic_file import atomic_write
        from alpha_train.datagen.corpus import corpus
        from alpha_train.units import bytes_text

        pieces = corpus(kind, seed=seed, size=parse_size(size))
        if out == _STANDARD_OUTPUT:
            for piece in pieces:
                sys.stdout.write(piece)
            return
        if out.exists() and not force:
            raise UsageError(f"`{out}` exists", hint="`--force` replaces it")
        try:
            with atomic_write(out) as file:
                file.writelines(piece.encode() for piece in pieces)
        except OSError as error:
            raise UsageError(f"`{out}` cannot be written: {error.strerror}") from error
        note(f"{bytes_text(out.stat().st_size)} of text are in `{out}`")

    return datagen


def parse_size(text: str) -> int:
    """Returns the number of bytes that a person writes as `200kB`, `1.5MB` or `2GiB`.

    Raises `UsageError` for anything else.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2].lower() not in _UNITS:
        raise UsageError(f"`--size` is a number of bytes such as `500000`, `200kB`, `1MB` or `2GiB`, not `{text}`")
    return int(float(match[1]) * _UNITS[match[2].lower()])
