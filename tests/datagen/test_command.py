"""`alpha datagen` as a person runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_core.errors import UsageError
from alpha_train.commands.datagen import parse_size

ALPHA = str(Path(sys.executable).with_name("alpha"))
Alpha = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def alpha(tmp_path: Path) -> Alpha:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHA_")}
    environ = {**kept, "ALPHA_CACHE": str(tmp_path / "cache"), "OPENBLAS_NUM_THREADS": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [ALPHA, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    return run


def test_what_it_makes_trains_the_domain_of_its_name(alpha: Alpha, tmp_path: Path) -> None:
    made = alpha("datagen", "chords", "--size=40kB", "--seed=1", "--out=chords.txt")
    assert (made.returncode, made.stdout) == (0, "")
    assert made.stderr == "note: 39 KiB of text are in `chords.txt`\n"
    assert 39_000 < (tmp_path / "chords.txt").stat().st_size <= 40_000
    small = ["--layers=1", "--dim=16", "--heads=2", "--batch=2", "--iters=3", "--eval-iters=1", "--sample-interval=0"]
    trained = alpha("train", "--domain=chords", "--data=chords.txt", "--backend=cpu_ref", *small)
    assert trained.returncode == 0, trained.stderr
    assert "no `<|end_of_text|>`" in trained.stderr or "step 3/3" in trained.stdout


def test_standard_output_is_the_default(alpha: Alpha) -> None:
    shown = alpha("datagen", "abc", "--size=500")
    assert shown.stdout.startswith("X:1\nT:")
    assert shown.stderr == ""


def test_a_file_is_never_overwritten_unless_asked(alpha: Alpha, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    refused = alpha("datagen", "abc", "--size=500", "--out=a.txt")
    assert (refused.returncode, refused.stderr) == (2, "error: `a.txt` exists\nhint: `--force` replaces it\n")
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert alpha("datagen", "abc", "--size=500", "--out=a.txt", "--force").returncode == 0
    assert (tmp_path / "a.txt").read_text().startswith("X:1")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["datagen", "chrods"], 2, "did you mean `datagen chords`?"),
        (["datagen", "abc", "--size=big"], 2, "`--size` is a number of bytes"),
        (["datagen", "abc", "--seed=x"], 2, "--seed"),
        (["datagen", "abc", "--out=no/such/folder.txt"], 2, "cannot be written"),
    ],
)
def test_a_mistake_is_explained(arguments: list[str], code: int, words: str, alpha: Alpha) -> None:
    done = alpha(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "size"), [("500", 500), ("200kB", 200_000), ("1.5 MB", 1_500_000), ("2GiB", 2 << 30), ("1mib", 1 << 20)]
)
def test_sizes_are_read_as_they_are_written(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1 parsec", "1e6", "0x10"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="number of bytes"):
        parse_size(text)
