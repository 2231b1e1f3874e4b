"""The rule of `conftest.py` that CI skips nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
MODULE = "import pytest\npytest.importorskip('no_such_module')\n"
TESTS = """
import pytest
def test_plain(): pass
def test_skip(): pytest.skip('not installed')
def test_allowed_skip(): pytest.skip('runs as root')
@pytest.mark.xfail
def test_expected_failure(): assert False
"""


@pytest.mark.parametrize(
    ("ci", "status", "counts"),
    [
        ("true", 1, {"1 failed", "1 passed", "1 skipped", "1 xfailed", "1 error"}),
        ("", 0, {"1 passed", "3 skipped", "1 xfailed"}),
    ],
)
def test_a_skip_fails_in_ci_alone_unless_its_reason_is_allowed(tmp_path, ci, status, counts):
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_module.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "test_each.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(
        command, env={**os.environ, "CI": ci}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert set(re.findall(r"\d+ [a-z]+", done.stdout.splitlines()[-1])) == counts
