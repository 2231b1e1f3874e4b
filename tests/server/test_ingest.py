"""The ingest server: what is stored, and what is refused, over real connections to a real process."""

import gzip
import http.client
import json
import re
import shutil
import socket
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.server.ingest_server import SECRET, IngestServer, fields, packed

TIME = "2026-01-01T00:00:00.000001+00:00"
GZIP = {"Content-Encoding": "gzip"}


def run_messages(run: str) -> list[dict[str, object]]:
    """A short run, as the sink reports it."""
    event = {"step": 2, "level": "info", "kind": "checkpoint_saved", "message": "saved", "payload": {}, "time": TIME}
    return [
        {
            "type": "run_start",
            "runId": run,
            "domain": "novels",
            "modelConfig": {"n_layer": 2, "activation": "gelu"},
            "trainConfig": {"iters": 2, "lr": 0.1},
            "totalParams": 7,
            "infra": {"hostname": "far-away", "cpu_count": 3, "gpu_name": "a fast one"},
        },
        {"type": "metrics", "runId": run, "metrics": [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.0, "odd": 1}]},
        {"type": "samples", "runId": run, "step": 2, "samples": [{"prompt": "a", "output": "b", "time": TIME}]},
        {"type": "event", "runId": run, "event": event},
        {"type": "heartbeat", "runId": run, "step": 2},
        {"type": "complete", "runId": run, "finalStep": 2, "status": "completed"},
    ]


def counts(server: IngestServer, run: str) -> list[int]:
    tables = ("runs", "metrics", "samples", "events", "checkpoints")
    return [server.rows(f"SELECT count(*) FROM {table} WHERE run_id = ?", run)[0][0] for table in tables]


def test_what_a_run_reports_is_in_the_database(shared_server: IngestServer) -> None:
    answer = shared_server.post(packed(run_messages("stored")), headers=GZIP)
    assert (answer.status, fields(answer)) == (200, {"stored": 6})
    columns = "status, domain, n_layer, lr, estimated_params, hostname, gpu_name, latest_step, last_loss"
    assert shared_server.rows(f"SELECT {columns} FROM runs WHERE run_id = 'stored'") == [
        ("completed", "novels", 2, 0.1, 7, "far-away", "a fast one", 2, 2.0)
    ]
    rows = shared_server.rows("SELECT step, loss, extra FROM metrics WHERE run_id = 'stored' ORDER BY step")
    assert rows == [(1, 2.5, None), (2, 2.0, '{"odd": 1}')]
    assert shared_server.rows("SELECT step, filename FROM checkpoints WHERE run_id = 'stored'") == [
        (2, "checkpoint-2.alph")
    ]


def test_duplicates_do_no_harm(shared_server: IngestServer) -> None:
    messages = run_messages("twice")
    for _ in range(3):
        assert shared_server.post(messages).status == 200
    for message in messages:
        assert shared_server.post(message).status == 200
    assert counts(shared_server, "twice") == [1, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {SECRET}", 200),
        (f"bearer  {SECRET}", 200),
        (f"Bearer {SECRET}x", 401),
        (f"Bearer {SECRET[:-1]}", 401),
        ("Bearer ", 401),
        (f"Basic {SECRET}", 401),
        (SECRET, 401),
        ("Bearer \xff\xfe", 401),
    ],
)
def test_only_the_right_token_writes(shared_server: IngestServer, header: str, status: int) -> None:
    body = {"type": "heartbeat", "runId": "token", "step": 1}
    answer = shared_server.post(body, headers={"Authorization": header})
    assert answer.status == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert SECRET not in answer.body.decode()


def test_without_a_token_nothing_is_stored_or_told(shared_server: IngestServer) -> None:
    headers = {"Content-Type": "application/json"}
    body = json.dumps(run_messages("anonymous")).encode()
    assert shared_server.request("POST", "/api/ingest", body=body, headers=headers).status == 401
    assert shared_server.request("PUT", "/api/runs/anonymous/files/config.json", body=b"{}").status == 401
    assert shared_server.request("GET", "/api/runs/anonymous/files/config.json").status == 401
    assert counts(shared_server, "anonymous") == [0, 0, 0, 0, 0]
    assert not (shared_server.folder / "anonymous").exists()


def test_bad_bodies_are_refused_and_the_server_goes_on(shared_server: IngestServer) -> None:
    post = shared_server.post
    assert post(b"no json").status == 400
    assert post(b'{"type": "metrics"}').status == 400
    assert post(b"no gzip", headers=GZIP).status == 400
    assert post({}, headers={"Content-Type": "text/plain"}).status == 415
    assert post({}, headers={"Content-Encoding": "br"}).status == 415
    assert post(b"[" * 100_000).status == 400
    good = {"type": "heartbeat", "runId": "half", "step": 1}
    answer = post([good, {"type": "heartbeat", "runId": "../half", "step": 1}])
    assert answer.status == 400
    assert "message 1: `runId`" in fields(answer)["error"]
    assert counts(shared_server, "half") == [0, 0, 0, 0, 0]
    assert post(good).status == 200


def test_large_bodies_and_bombs_are_refused_with_little_memory(shared_server: IngestServer) -> None:
    before = _peak_kilobytes(shared_server)
    bomb = gzip.compress(b"[" + b"0," * 100_000_000 + b"0]", compresslevel=9)
    assert shared_server.post(bomb, headers=GZIP).status == 413
    assert shared_server.post(b" " * (5 << 20)).status == 413
    assert _peak_kilobytes(shared_server) - before < 64_000
    assert shared_server.post({"type": "heartbeat", "runId": "after", "step": 1}).status == 200


def test_other_paths_and_methods_are_refused_in_json(shared_server: IngestServer) -> None:
    for method, path, status in [("GET", "/api/ingest", 405), ("POST", "/nothing", 404), ("GET", "/", 404)]:
        answer = shared_server.request(method, path)
        assert answer.status == status
        assert fields(answer)["error"]


def test_a_client_that_goes_in_the_middle_stores_nothing(shared_server: IngestServer) -> None:
    port = int(shared_server.url.rpartition(":")[2])
    body = json.dumps(run_messages("gone")).encode()
    head = (
        f"POST /api/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
    assert shared_server.post({"type": "heartbeat", "runId": "stays", "step": 1}).status == 200
    assert counts(shared_server, "gone") == [0, 0, 0, 0, 0]


def test_health_and_metrics_are_open_to_all(shared_server: IngestServer) -> None:
    assert shared_server.request("GET", "/healthz").status == 200

    def values() -> dict[str, float]:
        answer = shared_server.request("GET", "/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        return {
            re.sub(r"[{}\"]", " ", f"{sample.name} {sample.labels}"): sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
            if not sample.name.endswith("_created")
        }

    before = values()
    assert shared_server.post(run_messages("counted")).status == 200
    assert shared_server.post(b"no json").status == 400
    after = values()
    changes = {name: after[name] - before.get(name, 0.0) for name in after if "bucket" not in name}
    assert changes.pop("alpha_ingest_request_seconds_sum  'route': 'ingest' ") > 0
    assert {name: change for name, change in changes.items() if change} == {
        "alpha_ingest_requests_total  'route': 'ingest', 'status': '200' ": 1,
        "alpha_ingest_requests_total  'route': 'ingest', 'status': '400' ": 1,
        "alpha_ingest_request_seconds_count  'route': 'ingest' ": 2,
        "alpha_ingest_received_bytes_total  'route': 'ingest' ": len(json.dumps(run_messages("counted"))) + 7,
        **{
            f"alpha_ingest_messages_total  'type': '{kind}' ": 1
            for kind in ("run_start", "metrics", "samples", "events", "heartbeat", "complete")
        },
        "alpha_ingest_steps_total {}".replace("{}", "  "): 2,
    }


def test_when_the_database_fails_nothing_is_acknowledged(server: IngestServer) -> None:
    database = server.folder / "alpha.db"
    database.mkdir(parents=True)  # a folder where the file should be
    server.start()
    answer = server.post(run_messages("later"))
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert fields(answer) == {"error": "the database is away"}
    assert server.request("GET", "/healthz").status == 503
    shutil.rmtree(database)
    assert server.post(run_messages("later")).status == 200
    assert server.request("GET", "/healthz").status == 200
    assert counts(server, "later") == [1, 2, 1, 1, 1]
    status, output = server.stop()
    assert (status, output) == (0, "")


def test_what_is_acknowledged_survives_the_death_of_the_server(server: IngestServer) -> None:
    server.start()
    for index in range(5):
        assert server.post(run_messages(f"run{index}")).status == 200
        server.kill()
        server.start()
    assert [counts(server, f"run{index}") for index in range(5)] == [[1, 2, 1, 1, 1]] * 5


def test_asked_to_end_it_answers_what_has_begun(server: IngestServer) -> None:
    server.start()
    body = json.dumps(run_messages("last")).encode()
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=30)
    connection.putrequest("POST", "/api/ingest")
    connection.putheader("Authorization", f"Bearer {SECRET}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:10])
    time.sleep(0.2)
    server.terminate()
    time.sleep(0.2)
    connection.send(body[10:])
    assert connection.getresponse().status == 200
    connection.close()
    assert server.stop() == (0, "")
    assert counts(server, "last") == [1, 2, 1, 1, 1]


def test_two_servers_do_not_share_a_folder(server: IngestServer) -> None:
    server.start()
    second = IngestServer(server.folder)
    with pytest.raises(AssertionError, match="another server receives into"):
        second.start()


def test_without_a_secret_it_does_not_start(tmp_path: Path) -> None:
    server = IngestServer(tmp_path / "runs", UPLOAD_SECRET="")
    with pytest.raises(AssertionError, match="`UPLOAD_SECRET` is not set"):
        server.start()


def _peak_kilobytes(server: IngestServer) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1])
