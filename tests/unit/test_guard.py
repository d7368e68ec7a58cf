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


def ask(path: str, method: str = "GET", **headers: str) -> TestResponse:
    app = Flask("guarded")
    app.add_url_rule("/", "index", lambda: url_for("index"), methods=["GET", "POST"])
    app.add_url_rule("/cached", "cached", lambda: ("x", {"cache-control": "public"}))
    guard(app, TOKEN)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().open(path, method=method, base_url=ADDRESS, headers=sent)


def test_the_page_opens_under_its_token_and_builds_addresses_with_it() -> None:
    answer = ask(f"/{TOKEN}/")

    assert (answer.status_code, answer.text) == (200, f"/{TOKEN}/")


def test_the_page_opens_without_the_last_slash() -> None:
    assert ask(f"/{TOKEN}").status_code == 200


@pytest.mark.parametrize("path", ["/", "//", "/wrong/", f"/{TOKEN}x/", f"//{TOKEN}/", f"/x/{TOKEN}/", "/トークン/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_token_or_none_is_refused(path: str, method: str) -> None:
    answer = ask(path, method)

    assert answer.status_code == 403
    assert TOKEN not in answer.text


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1", "127.0.0.1:8124", "shop.example:8123", ""])
def test_a_foreign_host_is_refused(host: str) -> None:
    assert ask(f"/{TOKEN}/", Host=host).status_code == 403


def test_localhost_is_an_own_host() -> None:
    assert ask(f"/{TOKEN}/", Host="localhost:8123").status_code == 200


@pytest.mark.parametrize("origin", ["https://shop.example", "null", "http://127.0.0.1:8124", "https://127.0.0.1:8123"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_origin_is_refused(origin: str, method: str) -> None:
    assert ask(f"/{TOKEN}/", method, Origin=origin).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_change_from_another_site_is_refused(site: str) -> None:
    assert ask(f"/{TOKEN}/", "POST", Sec_Fetch_Site=site).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_change_by_the_page_itself_passes(site: str) -> None:
    assert ask(f"/{TOKEN}/", "POST", Sec_Fetch_Site=site, Origin=ADDRESS).status_code == 200


def test_a_link_from_another_site_may_open_the_page() -> None:
    assert ask(f"/{TOKEN}/", Sec_Fetch_Site="cross-site").status_code == 200


@pytest.mark.parametrize("path", [f"/{TOKEN}/", f"/{TOKEN}/cached", f"/{TOKEN}/missing", "/wrong/"])
def test_every_answer_carries_the_headers_once(path: str) -> None:
    answer = ask(path)

    assert {name: answer.headers.getlist(name) for name in HEADERS} == {name: [HEADERS[name]] for name in HEADERS}


def test_no_inline_script_can_run() -> None:
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_tokens_differ_and_need_no_quoting() -> None:
    tokens = {new_token() for _ in range(20)}

    assert len(tokens) == 20
    assert all(token.replace("-", "").replace("_", "").isalnum() and len(token) >= 32 for token in tokens)


@pytest.mark.parametrize("headers", [{}, {"Origin": ADDRESS}])
def test_no_page_may_ask_what_it_may_ask(headers: dict[str, str]) -> None:
    answer = ask(f"/{TOKEN}/", "OPTIONS", **headers)

    assert answer.status_code == 403
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118  # pairs


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
def test_a_server_for_programs_refuses_what_a_page_sends(lines: list[str], method: str) -> None:
    with served(OneServer) as port:
        sent = [line.format(port=port) for line in lines]
        assert raw(port, f"{method} / HTTP/1.1", *sent).split()[1] == b"403"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_for_programs_serves_programs(host: str, method: str) -> None:
    with served(OneServer) as port:
        assert raw(port, f"{method} / HTTP/1.1", f"Host: {host}:{port}").split()[1] == b"200"


def test_a_refused_request_does_not_pass_another_one_in_its_body() -> None:
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
def test_pages_of_this_machine_alone_show_the_pictures_of_the_shop(site: str, kind: str, status: bytes) -> None:
    with served(Gallery) as port:
        head = [f"Host: 127.0.0.1:{port}", f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Dest: {kind}"]
        assert raw(port, "GET / HTTP/1.1", *head).split()[1] == status
