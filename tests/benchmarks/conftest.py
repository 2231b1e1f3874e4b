"""Workers that do next to nothing, as real processes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.case import Case
from benchmarks.contest import Contest
from benchmarks.entrant import Entrant
from benchmarks.worker import Worker

WORKER = """
import os
import time
from benchmarks.peers.serve import Prepared, serve

def prepare(case, settings):
    facts = {"first_loss": settings.get("loss", 1.0), "inherited": os.environ.get("OMP_NUM_THREADS", "nothing")}
    def run():
        with open(case["journal"], "a") as journal:
            journal.write(f"{settings['name']} begins\\n")
            journal.flush()
            print("a library prints what it likes")
            if settings.get("dies"):
                raise SystemExit("out of memory")
            if settings.get("fails"):
                raise ValueError("singular")
            time.sleep(settings.get("sleeps", 0.0))
            journal.write(f"{settings['name']} ends\\n")
    return Prepared(run, facts)

if __name__ == "__main__":
    serve({"fake": "1.0"}, {"count": prepare})
"""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(
        suite="train",
        task="count",
        id="small",
        parameters={"batch_size": 2},
        files={"journal": str(tmp_path / "journal")},
        work={"tokens": 8},
        repetitions=1,
        expected={"first_loss": (1.0, 0.1)},
    )


@pytest.fixture
def journal(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: (tmp_path / "journal").read_text().splitlines()


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return Contest(
        open=lambda entrant: Worker(entrant, [sys.executable, str(script)]),
        rounds=2,
        seconds=0.0,
        tell=lambda line: None,
    )


def fake(name: str, **settings: object) -> Entrant:
    return Entrant(name=name, module="fake", settings={"name": name, **settings})
