"""The tool that finds or fetches `sqld` for these tests."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.db.conftest import ROOT


@pytest.mark.parametrize(("npm", "reason"), [(None, "there is no npm to fetch it"), ("exit 1", "npm could not fetch")])
def test_a_server_that_cannot_be_fetched_is_told_and_nothing_is_left(
    npm: str | None, reason: str, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dirname", "mkdir", "mktemp", "rm", "uname"):
        (programs / name).symlink_to(shutil.which(name) or name)
    if npm is not None:
        (programs / "npm").write_text(f"#!/bin/sh\n{npm}\n")
        (programs / "npm").chmod(0o755)
    environ = {"PATH": str(programs), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([ROOT / "tools/sqld.sh"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert reason in done.stderr
    assert not done.stdout
    # The folder that is filled before it is put in place has a dot in its name.
    assert not [path for path in tmp_path.glob("cache/**/*") if not path.is_dir() or "." in path.name]
