import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import pytest
import requests
from flask import Flask, url_for
from werkzeug.test import TestResponse

from web.guard import HEADERS, Guarded, guard, new_token

TOKEN = "a-token-of-the-tests"
ADDRESS = "http://127.0.0.1:8123"
FOREIGN_HOSTS = ("shop.example", "127.0.0.1", "127.0.0.1:8124", "shop.example:8123", "")
FOREIGN_ORIGINS = ("https://shop.example", "null", "http://127.0.0.1:8124", "https://127.0.0.1:8123")


def ask(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> TestResponse:
    app = Flask("guarded")
    app.add_url_rule("/", "index", lambda: url_for("index"), methods=["GET", "POST"])
    app.add_url_rule("/cached", "cached", lambda: ("x", {"cache-control": "public"}))
    guard(app, TOKEN)
    return app.test_client().open(path, method=method, base_url=ADDRESS, headers=headers)


def test_the_page_opens_under_its_token_and_builds_urls_with_it() -> None:
    answer = ask(f"/{TOKEN}/")

    assert (answer.status_code, answer.text) == (200, f"/{TOKEN}/")


@pytest.mark.parametrize("path", ["/", "//", "/wrong/", f"/{TOKEN}x/", f"//{TOKEN}/", f"/x/{TOKEN}/", "/トークン/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_wrong_or_missing_token_is_refused(path: str, method: str) -> None:
    answer = ask(path, method)

    assert answer.status_code == 403
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        (f"/{TOKEN}", "GET", {}),
        (f"/{TOKEN}/", "GET", {"Host": "localhost:8123"}),
        (f"/{TOKEN}/", "GET", {"Sec-Fetch-Site": "cross-site"}),  # a link
        (f"/{TOKEN}/", "POST", {"Sec-Fetch-Site": "same-origin", "Origin": ADDRESS}),
        (f"/{TOKEN}/", "POST", {"Sec-Fetch-Site": "none", "Origin": ADDRESS}),
    ],
)
def test_the_owner_is_served(path: str, method: str, headers: dict[str, str]) -> None:
    assert ask(path, method, headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        *((m, {"Host": host}) for host in FOREIGN_HOSTS for m in ("GET", "POST")),
        *((m, {"Origin": origin}) for origin in FOREIGN_ORIGINS for m in ("GET", "POST")),
        *(("POST", {"Sec-Fetch-Site": site}) for site in ("cross-site", "same-site")),
        ("OPTIONS", {}),
        ("OPTIONS", {"Origin": ADDRESS}),
    ],
)
def test_another_page_is_refused(method: str, headers: dict[str, str]) -> None:
    answer = ask(f"/{TOKEN}/", method, headers)

    assert answer.status_code == 403
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", [f"/{TOKEN}/", f"/{TOKEN}/cached", f"/{TOKEN}/missing", "/wrong/"])
def test_every_response_has_each_header_once(path: str) -> None:
    answer = ask(path)

    assert {name: answer.headers.getlist(name) for name in HEADERS} == {name: [HEADERS[name]] for name in HEADERS}


def test_no_inline_script_can_run() -> None:
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_tokens_differ_and_need_no_quoting() -> None:
    tokens = {new_token() for _ in range(20)}

    assert len(tokens) == 20
    assert all(token.replace("-", "").replace("_", "").isalnum() and len(token) >= 32 for token in tokens)


class OneServer(Guarded):
    def do_GET(self) -> None:
        self.send_response_only(200)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


class Gallery(OneServer):
    shows_pictures = True


@contextmanager
def served(handler: type[Guarded]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def raw(port: int, *lines: str) -> bytes:
    """Return the status line that the server answers to a head of these lines."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return connection.makefile("rb").readline()


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: shop.example"],
        ["Host: shop.example:{port}"],
        ["Host: 127.0.0.1:1"],
        ["Host: 127.0.0.1.shop.example:{port}"],
        ["Host: 127.0.0.1:{port}", "Host: shop.example"],
        [],
        ["Host: 127.0.0.1:{port}", "Origin: null"],
        ["Host: 127.0.0.1:{port}", "Origin: http://localhost:{port}"],
        ["Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:{port}", "Origin: null"],
        ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: cross-site"],
        ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: same-site"],
        ["Host: 127.0.0.1:{port}", "Origin: http://shop.example", "Upgrade: websocket", "Connection: Upgrade"],
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_server_for_programs_refuses_requests_of_pages(lines: list[str], method: str) -> None:
    with served(OneServer) as port:
        sent = [line.format(port=port) for line in lines]
        assert raw(port, f"{method} / HTTP/1.1", *sent).split()[1] == b"403"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_for_programs_serves_programs(host: str, method: str) -> None:
    with served(OneServer) as port:
        assert raw(port, f"{method} / HTTP/1.1", f"Host: {host}:{port}").split()[1] == b"200"


def test_a_request_hidden_in_a_refused_body_is_not_handled() -> None:
    with served(OneServer) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        hidden = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        connection.sendall(
            f"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}".encode()
        )
        answers = connection.makefile("rb").read()

    assert answers.count(b"HTTP/1.") == 1


def test_a_refusal_of_a_request_with_a_body_arrives() -> None:
    with served(OneServer) as port:
        for _ in range(20):
            answer = requests.post(f"http://127.0.0.1:{port}/", b"x" * 300_000, headers={"Origin": "null"}, timeout=5)
            assert answer.status_code == 403


@pytest.mark.parametrize(
    ("site", "kind", "status"),
    [("same-site", "image", b"200"), ("same-site", "empty", b"403"), ("cross-site", "image", b"403")],
)
def test_only_pages_on_this_machine_show_the_shops_pictures(site: str, kind: str, status: bytes) -> None:
    with served(Gallery) as port:
        head = [f"Host: 127.0.0.1:{port}", f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Dest: {kind}"]
        assert raw(port, "GET / HTTP/1.1", *head).split()[1] == status
