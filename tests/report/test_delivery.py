"""How records and files are sent: in batches, with pauses, up to limits; the server is one that says what is wanted."""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tests.report.fake_server import FakeServer, Received, Reply, wait_until
from tests.report.reporting import NOWHERE, Reporter, quick
from tests.server.ingest_server import SECRET

from alpha_report.waiting_files import WaitingFiles


def steps_in(requests: Sequence[Received]) -> list[list[int]]:
    """The steps of each request, for those that have any."""
    found = [
        [row["step"] for message in request.json if message["type"] == "metrics" for row in message["metrics"]]
        for request in requests
    ]
    return [steps for steps in found if steps]


def test_steps_go_in_batches_and_other_things_at_once(tmp_path: Path) -> None:
    with FakeServer() as server:
        reporter = Reporter(tmp_path, quick(server.url, flush_seconds=60, heartbeat_seconds=60))
        for number in range(1, 26):
            reporter.step(number)
            if number % 10 == 0:
                wait_until(lambda: not len(reporter.outbox))
        time.sleep(0.1)
        assert steps_in(server.requests) == [list(range(1, 11)), list(range(11, 21))]
        reporter.outbox.add({"type": "heartbeat", "step": 25})
        reporter.delivery.notice(25)
        wait_until(lambda: not len(reporter.outbox))
        assert steps_in(server.requests)[2:] == [list(range(21, 26))]
        assert reporter.finish()
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {SECRET}"}


def test_steps_do_not_wait_for_others_for_ever_and_a_silent_run_gives_signs_of_life(tmp_path: Path) -> None:
    with FakeServer() as server:
        reporter = Reporter(tmp_path, quick(server.url, flush_seconds=0.2, heartbeat_seconds=0.3))
        reporter.step(1)
        wait_until(lambda: steps_in(server.requests) == [[1]])
        reporter.step(2)
        wait_until(lambda: steps_in(server.requests) == [[1], [2]])
        wait_until(lambda: server.requests[-1].json[0]["type"] == "heartbeat")
        assert server.requests[-1].json[0]["step"] == 2
        assert reporter.finish()


def test_a_server_that_cannot_store_is_left_alone_for_as_long_as_it_says(tmp_path: Path) -> None:
    with FakeServer(lambda request: Reply(503, {"error": "busy"}, {"Retry-After": "0.4"})) as server:
        reporter = Reporter(tmp_path, quick(server.url))
        for number in range(1, 11):
            reporter.step(number)
        wait_until(lambda: len(server.requests) >= 3)
        server.reply = lambda request: Reply()
        wait_until(lambda: not len(reporter.outbox))
        assert reporter.finish()
    assert "takes nothing (status 503: busy)" in reporter.told[0]
    times = [request.time for request in server.requests[:4]]
    assert all(later - earlier >= 0.4 for earlier, later in pairwise(times))


def test_too_many_records_for_a_server_that_is_away_are_told(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path, quick(NOWHERE, capacity=50, patience=0.05))
    for number in range(1, 101):
        reporter.step(number)
    wait_until(lambda: any("more than 50 records wait" in text for text in reporter.told))
    assert not reporter.finish()
    assert [record.content["metrics"][0]["step"] for record in reporter.outbox.first(1)] == [51]


def test_a_file_that_was_replaced_during_its_upload_waits_on(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"version": 1}')
    reporter = Reporter(tmp_path / "remote", quick(NOWHERE, patience=0.05))
    reporter.files.add(path)
    (waiting,) = reporter.files.all()
    before = waiting.stat().st_ino
    newer = tmp_path / "newer" / "config.json"
    newer.parent.mkdir()
    newer.write_text('{"version": 2}')
    reporter.files.add(newer)
    reporter.files.remove(waiting, before)
    assert waiting.read_text() == '{"version": 2}'
    reporter.files.remove(waiting, newer.stat().st_ino)
    assert reporter.files.all() == []
    assert reporter.finish()


def test_old_checkpoints_make_way_when_too_many_wait(tmp_path: Path) -> None:
    files = WaitingFiles(tmp_path / "remote", most_checkpoints=2)
    files.folder.mkdir()
    given_up = []
    for step in (1, 2, 10):
        path = tmp_path / f"checkpoint-{step}.alph"
        path.write_bytes(b"content")
        given_up += files.add(path)
        assert files.add(path) == []  # the same once more
        path.unlink()
    assert given_up == ["checkpoint-1.alph"]
    assert [path.name for path in files.all()] == ["checkpoint-2.alph", "checkpoint-10.alph"]
    assert files.all()[0].read_bytes() == b"content"
