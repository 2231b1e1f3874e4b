"""The command line in this process, and backends that misbehave in processes of their own."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from alpha_bench import Effort, Session
from alpha_cli.main import main
from alpha_core import Plugins, load_plugins

FAULTS = Path(__file__).with_name("faulty_backends.py").read_text(encoding="utf-8")
TINY = ("--n-layer=1", "--n-embd=16", "--n-head=2", "--block-size=16", "--vocab-size=32", "--batch-size=2", "--lr=0.01")
"""A model that takes milliseconds, and a rate at which its loss falls at once."""


@attrs.frozen
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


RunAlpha = Callable[..., Done]


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins(environ={})


@pytest.fixture
def session(plugins: Plugins) -> Iterator[Session]:
    with Session(plugins, backend_name="cpu_ref", effort=Effort.quick_look()) as made:
        yield made


@pytest.fixture
def alpha(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunAlpha:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIL_ON_SMOKE_TEST", raising=False)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        try:
            code = main(list(arguments))
        except SystemExit as exit:
            code = int(exit.code or 0)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def faulty_backends(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installs the backends of `faulty_backends.py` for this process and the ones that it starts."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "throwaway_faults.py").write_text(FAULTS, encoding="utf-8")
    metadata = folder / "faults-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: faults\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[alpha]\nfaults = throwaway_faults\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("throwaway_faults", None)
