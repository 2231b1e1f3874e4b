"""Uploads: complete or not at all, resumed anywhere, and never outside their folder."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.ingest_server import SECRET, IngestServer, checkpoint, digest, fields

from alpha_server.errors import RefusedError
from alpha_server.uploads import Uploads

FILE = "checkpoint-7.alph"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_file_arrives_in_chunks_and_is_recorded(shared_server: IngestServer) -> None:
    content = checkpoint(10_000)
    for start in range(0, 10_000, 4_000):
        answer = shared_server.put("chunks", FILE, content, start=start, end=start + 4_000)
        received = min(start + 4_000, 10_000)
        assert (answer.status, fields(answer)) == (200, {"received": received, "complete": received == 10_000})
        assert (FILE in files(shared_server.folder / "chunks")) is (received == 10_000)
    assert (shared_server.folder / "chunks" / FILE).read_bytes() == content
    assert files(shared_server.folder / "chunks") == {FILE}
    sql = "SELECT step, filename, file_path, file_size FROM checkpoints WHERE run_id = 'chunks'"
    assert shared_server.rows(sql) == [(7, FILE, str(shared_server.folder / "chunks" / FILE), 10_000)]


def test_the_server_says_how_much_it_has(shared_server: IngestServer) -> None:
    content = checkpoint(5_000)
    headers = {"Authorization": f"Bearer {SECRET}", "Repr-Digest": digest(content)}

    def ask() -> dict[str, object]:
        return fields(shared_server.request("GET", f"/api/runs/asked/files/{FILE}", headers=headers))

    assert ask() == {"received": 0, "complete": False}
    shared_server.put("asked", FILE, content, end=1_000)
    assert ask() == {"received": 1_000, "complete": False}
    shared_server.put("asked", FILE, content, start=1_000)
    assert ask() == {"received": 5_000, "complete": True}


def test_a_chunk_elsewhere_is_refused_with_the_right_place(shared_server: IngestServer) -> None:
    content = checkpoint(3_000)
    assert shared_server.put("place", FILE, content, end=1_000).status == 200
    for start in (0, 500, 2_000):
        answer = shared_server.put("place", FILE, content, start=start)
        assert (answer.status, fields(answer)["received"]) == (409, 1_000)
    assert shared_server.put("place", FILE, content, start=1_000).status == 200
    answer = shared_server.put("place", FILE, content, start=1_000)  # the answer was lost: it comes again
    assert (answer.status, fields(answer)["complete"]) == (200, True)


def test_damage_on_the_way_is_noticed(shared_server: IngestServer) -> None:
    content = checkpoint(3_000)
    answer = shared_server.put("damage", FILE, content, headers={"Content-Digest": digest(b"other")})
    assert (answer.status, fields(answer)["received"]) == (422, 0)
    answer = shared_server.put("damage", FILE, content, headers={"Repr-Digest": digest(b"other")})
    assert (answer.status, fields(answer)) == (422, {"error": "the checksum of the file is wrong", "received": 0})
    assert files(shared_server.folder / "damage") == set()


def test_a_new_version_of_a_file_takes_the_place_of_the_old_one(shared_server: IngestServer) -> None:
    old, new, third = (json.dumps({"version": index, "text": "x" * 50}).encode() for index in range(3))
    assert shared_server.put("versions", "config.json", old).status == 200
    assert shared_server.put("versions", "config.json", third, end=20).status == 200
    assert shared_server.put("versions", "config.json", new).status == 200
    assert (shared_server.folder / "versions" / "config.json").read_bytes() == new
    assert files(shared_server.folder / "versions") == {"config.json"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (FILE, b"no checkpoint", "does not begin with `ALPH`"),
        (FILE, b"", "does not begin with `ALPH`"),
        (FILE, b"ALPH\xff\xff\xff\xff{}", "ends within its header"),
        (FILE, b"ALPH\x02\x00\x00\x00[]", "holds no JSON object"),
        (FILE, b"ALPH\x02\x00\x00\x00{\xff", "holds no JSON object"),
        ("config.json", b"[1]", "holds no JSON object"),
        ("tokenizer.json", b"{", "holds no JSON object"),
    ],
)
def test_content_that_is_not_what_the_name_says_is_refused(
    shared_server: IngestServer, name: str, content: bytes, reason: str
) -> None:
    answer = shared_server.put("content", name, content)
    assert answer.status == 400
    assert reason in fields(answer)["error"]
    assert files(shared_server.folder / "content") == set()


@pytest.mark.parametrize(
    "path",
    [
        "../checkpoint-7.alph",
        "..%2fcheckpoint-7.alph",
        "%2e%2e/%2e%2e/checkpoint-7.alph",
        "run/files/../../checkpoint-7.alph",
        "run/files/..%2f..%2fetc%2fpasswd",
        "run/files/%2fetc%2fpasswd",
        "run/files/alpha.db",
        "run/files/.ingest.lock",
        "run/files/checkpoint-7.alph%00.json",
        "run/files/checkpoint--1.alph",
        "run/files/checkpoint-007.alph",
        "run/files/checkpoint-9999999999999999999.alph",
        "../files/config.json",
        "%2e%2e/files/config.json",
        ".hidden/files/config.json",
        "-rf/files/config.json",
        "alpha.db/files/config.json",
        "a%5cb/files/config.json",
        "a%00b/files/config.json",
        f"{'a' * 129}/files/config.json",
    ],
)
def test_names_lead_nowhere_else(shared_server: IngestServer, path: str) -> None:
    content = b"{}"
    headers = {
        "Authorization": f"Bearer {SECRET}",
        "Content-Range": "bytes 0-1/2",
        "Content-Digest": digest(content),
        "Repr-Digest": digest(content),
    }
    before = {path: path.stat().st_size for path in shared_server.folder.parent.glob("**/*.alph")}
    for method in ("GET", "PUT"):
        answer = shared_server.request(method, f"/api/runs/{path}", body=content, headers=headers)
        assert answer.status in (400, 404, 405)
    assert {path: path.stat().st_size for path in shared_server.folder.parent.glob("**/*.alph")} == before
    assert not (shared_server.folder / "files").exists()
    assert not (shared_server.folder.parent / "config.json").exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-5/3000"},
        {"Content-Range": "bytes 0-2999/2000"},
        {"Content-Range": "bytes */3000"},
        {"Content-Range": "items 0-2999/3000"},
        {"Content-Range": "bytes 0-2999/" + "9" * 30},
        {"Content-Digest": "md5=:AAAA:"},
        {"Repr-Digest": "sha-256=:" + "A" * 42 + "*=:"},
    ],
)
def test_headers_that_make_no_sense_are_refused(shared_server: IngestServer, headers: dict[str, str]) -> None:
    assert shared_server.put("headers", FILE, checkpoint(3_000), headers=headers).status == 400
    assert files(shared_server.folder / "headers") == set()


def test_chunks_and_files_have_a_limit(server: IngestServer) -> None:
    server.start("--max-file=0.00001")
    assert server.put("limit", FILE, checkpoint(10_001), end=100).status == 413
    assert server.put("limit", FILE, checkpoint((16 << 20) + 1)).status == 413
    assert server.put("limit", FILE, checkpoint(10_000)).status == 200


def test_an_upload_survives_the_death_of_the_server(server: IngestServer) -> None:
    content = checkpoint(1_000_000)
    for start in range(0, 1_000_000, 250_000):
        server.start()
        assert server.put("killed", FILE, content, start=start, end=start + 250_000).status == 200
        server.kill()
    assert (server.folder / "killed" / FILE).read_bytes() == content


def test_a_file_without_its_row_is_not_called_complete(server: IngestServer) -> None:
    content = checkpoint(1_000)
    server.start()
    (server.folder / "alpha.db").mkdir()  # a folder where the file of the database should be
    assert server.put("unrecorded", FILE, content).status == 503
    assert (server.folder / "unrecorded" / FILE).exists()
    headers = {"Authorization": f"Bearer {SECRET}", "Repr-Digest": digest(content)}
    url = f"/api/runs/unrecorded/files/{FILE}"
    assert server.request("GET", url, headers=headers).status == 503
    (server.folder / "alpha.db").rmdir()
    assert fields(server.request("GET", url, headers=headers)) == {"received": 1_000, "complete": True}
    assert server.rows("SELECT step FROM checkpoints WHERE run_id = 'unrecorded'") == [(7,)]


@settings(max_examples=100, database=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_any_order_of_chunks_makes_the_file_or_none(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]]
) -> None:
    content = checkpoint(90)
    folder = tmp_path_factory.mktemp("uploads")
    uploads, sha256 = Uploads(folder, 1 << 20), hashlib.sha256(content).digest()
    received = 0
    for first, last in spans:
        start, chunk = first * 10, content[first * 10 : last * 10]
        try:
            progress = uploads.append("run", FILE, sha256, start, len(content), chunk)
        except RefusedError as error:
            received = error.fields["received"]
        else:
            received = progress.received
            assert progress.is_complete is (received == len(content))
    assert uploads.progress("run", FILE, sha256).received == received
    path = folder / "run" / FILE
    assert path.exists() is (received == len(content))
    assert not path.exists() or path.read_bytes() == content
