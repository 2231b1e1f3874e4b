"""The `alpha` command as a process: what it prints where, how it ends, how fast it answers, and what it does alone."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from alpha_cli import __version__

ALPHA = Path(sys.executable).with_name("alpha")
ALL = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_", "PYTHON", "NO_COLOR"))}
ENVIRONMENT = {**ALL, "ALPHA_PLUGINS": "work"}
"""Exact messages are asked of processes that load only the plugin below, so that no other one adds to them."""
RunProcess = Callable[..., subprocess.CompletedProcess[str]]

PLUGIN = """
import sys, time, warnings
from alpha_core.descriptors import TokenizerInfo
from alpha_core.hookspecs import hookimpl

@hookimpl
def register_commands(app):
    @app.command("work", help="Works.")
    def work(what: str = "", /) -> None:
        if what == "warn":
            warnings.warn("mind the gap")
        elif what == "crash":
            raise ValueError("boom")
        elif what == "flood":
            for _ in range(100_000):
                print("water")
        elif what == "wait":
            print("waiting", flush=True)
            time.sleep(60)
"""


def write_plugin(folder: Path, name: str, source: str) -> None:
    """Installs a throw-away distribution into a folder of the import path."""
    (folder / f"throwaway_{name}.py").write_text(source)
    metadata = folder / f"{name}_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[alpha]\n{name} = throwaway_{name}\n")


@pytest.fixture
def alpha(tmp_path: Path) -> RunProcess:
    write_plugin(tmp_path, "work", PLUGIN)

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environ = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path), **environ}
        return subprocess.run(
            [ALPHA, *arguments], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["--help", "--debug"]])
def test_help_names_commands_and_exit_codes(alpha: RunProcess, arguments: list[str]) -> None:
    done = alpha(*arguments, ALPHA_PLUGINS="")
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("Usage: alpha ", "  work ", "  tokenizer ", "  plugins ", "--version", "--debug", "Exit codes:"):
        assert text in done.stdout


def test_the_module_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "alpha_cli", "--version"]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"alpha {__version__}\n", "")


def test_help_answers_in_time() -> None:
    """Within 0.3 s; where Python is slow, within 4 times what the library of the command line takes alone."""
    for _ in range(4):
        limit = max(0.3, 4 * _processor_time([sys.executable, "-c", "import typer"]))
        if (taken := _processor_time([ALPHA, "--help"])) < limit:
            return
    pytest.fail(f"{taken:.2f} s of processor time, of which {limit:.2f} s are allowed")


def _processor_time(command: Sequence[str | Path]) -> float:
    """Returns the least seconds of three runs: other work on the machine makes the clock's time longer."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=ALL, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_a_broken_plugin_is_a_warning_and_the_rest_works(alpha: RunProcess, tmp_path: Path) -> None:
    write_plugin(tmp_path, "broken", "import no_such_module")
    done = alpha("work", ALPHA_PLUGINS="work,broken")
    assert (done.returncode, done.stdout) == (0, "")
    reason = "ModuleNotFoundError: No module named 'no_such_module'"
    assert done.stderr == f"warning: plugin `broken` (broken-package 1.0) is broken and left out: {reason}\n"


def test_a_wrong_name_in_the_environment_is_a_note(alpha: RunProcess) -> None:
    done = alpha("work", ALPHA_PLUGINS="work,tokenizer")
    assert done.returncode == 0
    assert done.stderr == (
        "note: `ALPHA_PLUGINS` names plugin `tokenizer`, which is not installed; did you mean `tokenizers`?\n"
    )


def test_a_command_that_the_environment_leaves_out_is_explained(alpha: RunProcess) -> None:
    done = alpha("tokenizer", "build", "x", ALPHA_PLUGINS="work")
    assert done.returncode == 3
    assert "`tokenizers` (alpha-tokenizers 0.1.0), which `ALPHA_PLUGINS` leaves out" in done.stderr


def test_a_crash_is_one_line_until_debugging_is_asked_for(alpha: RunProcess) -> None:
    done = alpha("work", "crash")
    assert done.returncode == 70
    assert done.stderr == (
        "error: unexpected ValueError: boom\n"
        "hint: this is a bug in Alpha or in a plugin; run again with `--debug` for the traceback\n"
    )
    for debugged in (alpha("work", "crash", "--debug"), alpha("--debug", "work", "crash")):
        assert debugged.returncode == 70
        assert "Traceback" in debugged.stderr
        assert debugged.stderr.endswith("error: unexpected ValueError: boom\n")
    assert "Traceback" in alpha("work", "crash", ALPHA_DEBUG="1").stderr


def test_debugging_shows_where_an_expected_error_comes_from(alpha: RunProcess) -> None:
    done = alpha("wrok", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("hint: did you mean `work`?\n")


def test_a_warning_is_a_sentence(alpha: RunProcess) -> None:
    assert alpha("work", "warn").stderr == "warning: mind the gap\n"


def test_a_reader_that_goes_away_ends_the_command_quietly(alpha: RunProcess, tmp_path: Path) -> None:
    environ = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [ALPHA, "work", "flood"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "water\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


def test_ctrl_c_ends_with_130_and_without_a_traceback(alpha: RunProcess, tmp_path: Path) -> None:
    environ = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [ALPHA, "work", "wait"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "error: interrupted\n"
        assert process.wait(60) == 130


def test_without_the_other_packages_it_is_a_tokenizer_tool(tmp_path: Path) -> None:
    """Only alpha-cli, alpha-core and alpha-tokenizers can be imported, with the libraries that they declare."""
    site = Path(os.path.dirname(pytest.__file__)).parent
    packages = ("alpha_cli", "alpha_core", "alpha_tokenizers")
    for entry in site.iterdir():
        if not entry.name.startswith("alpha") or entry.name.startswith(tuple(f"{name}-" for name in packages)):
            (tmp_path / entry.name).symlink_to(entry)
    for name in packages:
        source = Path(sys.modules["alpha_cli"].__file__ or "").parents[3]
        (tmp_path / name).symlink_to(source / name.replace("_", "-") / "src" / name)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", "-m", "alpha_cli", *arguments]
        environ = {**ALL, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)

    (tmp_path / "text.txt").write_text("to be or not to be")
    assert run("tokenizer", "build", "text.txt", "--tokenizer=char").returncode == 0
    assert run("tokenizer", "encode", "tokenizer.json", "to be").returncode == 0
    missing = run("train", "--iters=3")
    assert missing.returncode == 3
    assert missing.stderr.startswith("error: command `train` is not installed: `pip install alpha-train`\n")


THREADS_PLUGIN = """
import os
from alpha_core import hookimpl

@hookimpl
def register_commands(app):
    @app.command("threads", help="Shows what numpy will read.")
    def threads() -> None:
        print(os.environ["OPENBLAS_NUM_THREADS"], os.environ["MKL_NUM_THREADS"])
"""


@pytest.mark.parametrize(
    ("variables", "shown"),
    [({}, "1 1"), ({"ALPHA_THREADS": "3"}, "3 3"), ({"ALPHA_THREADS": "3", "OPENBLAS_NUM_THREADS": "2"}, "2 3")],
)
def test_matrix_products_have_one_thread_unless_asked(
    variables: dict[str, str], shown: str, alpha: RunProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delitem(ENVIRONMENT, name, raising=False)
    write_plugin(tmp_path, "threads", THREADS_PLUGIN)
    assert alpha("threads", **{"ALPHA_PLUGINS": "threads", **variables}).stdout == f"{shown}\n"


@pytest.mark.parametrize("value", ["0", "two", "-1", "1.5", ""])
def test_a_wrong_number_of_threads_is_refused(value: str, alpha: RunProcess) -> None:
    done = alpha("work", ALPHA_THREADS=value)
    assert done.returncode == 2
    assert done.stderr == f"error: `ALPHA_THREADS` is `{value}`; a number of threads from 1 on is needed\n"
