"""The C compiler that tinygrad's CPU device calls: `clang`."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["provide_clang"]


def provide_clang() -> None:
    """Where no `clang` is on the PATH, makes that of the package `ziglang` be found."""
    if shutil.which("clang") is not None:
        return
    import ziglang

    folder = Path(tempfile.mkdtemp(prefix="clang"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    script = folder / "clang"
    zig = Path(ziglang.__file__).with_name("zig")
    script.write_text(f'#!/bin/sh\nexec "{zig}" clang "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
