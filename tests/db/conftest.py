"""Databases to test with: files, and a real `sqld` that is spoken to over HTTP and over WebSockets."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from alpha_db.address import TOKEN_VARIABLE, URL_VARIABLE, Address
from alpha_db.database import Database

ROOT = Path(__file__).parents[2]
RUN = "20260101000000_abcd"


class Sqld:
    """A server that can be killed and started again, on the same port and the same files."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [self._program, "--no-welcome", "--http-listen-addr", self.host, "--db-path", str(self._folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, "sqld ended at once"
            try:
                with urllib.request.urlopen(f"http://{self.host}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline, "sqld does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Lets it take connections and never answer."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # Its threads go on, and answer, until one of them has taken the signal.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def sqld_program() -> str:
    found = subprocess.run([ROOT / "tools" / "sqld.sh"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"there is no sqld: {found.stderr.strip()}")
    return found.stdout.strip()


@pytest.fixture
def stopped_sqld(sqld_program: str, tmp_path: Path) -> Iterator[Sqld]:
    """A server that has not been started."""
    server = Sqld(sqld_program, tmp_path / "sqld")
    yield server
    server.kill()


@pytest.fixture
def sqld(stopped_sqld: Sqld) -> Sqld:
    stopped_sqld.start()
    return stopped_sqld


@pytest.fixture(autouse=True)
def no_database_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.fixture(params=["file", "http", "ws"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """The address of an empty database, one of each kind."""
    if request.param == "file":
        return Address.of(f"file:{tmp_path / 'alpha.db'}")
    server: Sqld = request.getfixturevalue("sqld")
    return Address.of(f"{request.param}://{server.host}")


@pytest.fixture
def database(address: Address) -> Iterator[Database]:
    with Database.open(address) as opened:
        yield opened


@pytest.fixture
def file_database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(Address.of(f"file:{tmp_path / 'alpha.db'}")) as opened:
        yield opened


def clean_environment(**more: str) -> dict[str, str]:
    """The environment for processes, without what this machine has set for Alpha."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ALPHA_", "TURSO_"))}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "100", **more}
