"""The HTTP client: addresses, kept connections, and what goes wrong."""

import http.server
import socket
import threading

import pytest
from tests.report.fake_server import FakeServer, Reply

from alpha_core.errors import ConfigError
from alpha_report.http_client import Answer, HttpClient, Unreachable


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/secret",
        "ftp://example.org/secret",
        "http://",
        "http://[secret",
        "http://a:secret/",
        "http://ä/",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="`THE_VARIABLE`") as raised:
        HttpClient(url, source="THE_VARIABLE")
    assert "secret" not in str(raised.value)


def test_one_connection_serves_many_requests() -> None:
    with FakeServer(lambda request: Reply(201, {"path": request.path}, {"X-Name": "a"})) as server:
        client = HttpClient(f"{server.url}/base/?key=1", source="test")
        first = client.request("POST", "/path", body=b"body", headers={"X-Given": "b"})
        assert (first.status, first.body, first.headers["x-name"]) == (201, b'{"path": "/base/path?key=1"}', "a")
        connection = client._connection
        assert client.request("GET").body == b'{"path": "/base?key=1"}'
        assert client._connection is connection is not None
        client.close()
    assert (server.requests[0].method, server.requests[0].body) == ("POST", b"body")
    assert server.requests[0].headers["x-given"] == "b"


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    with FakeServer() as server:
        client = HttpClient(server.url, source="test")
        client.request("GET")
        assert client._connection is not None
        client._connection.sock.shutdown(socket.SHUT_RDWR)
        assert client.request("GET").status == 200
        client.close()


def test_no_server_and_no_answer_are_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        client = HttpClient(f"http://127.0.0.1:{port}", source="test", timeout=0.1)
        with pytest.raises(Unreachable, match="it does not answer in time"):
            client.request("GET")
    with pytest.raises(Unreachable, match="Connection refused"):
        client.request("GET")


def test_a_proxy_is_used_where_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 204 Through\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    proxy = http.server.HTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.handle_request)
    thread.start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
    client = HttpClient("http://alpha.example:81/x", source="test", timeout=5)
    assert client.request("GET").status == 204
    client.close()
    thread.join()
    proxy.server_close()
    assert asked == ["alpha.example:81"]


@pytest.mark.parametrize(("text", "seconds"), [("2", 2.0), ("0.25", 0.25), ("soon", None), ("-1", None), ("nan", None)])
def test_how_long_a_server_asks_to_wait(text: str, seconds: float | None) -> None:
    assert Answer(503, {"retry-after": text}, b"").retry_after == seconds
    assert Answer(503, {}, b"").retry_after is None
