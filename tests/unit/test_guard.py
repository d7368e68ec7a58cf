import pytest
from flask import Flask, url_for
from werkzeug.test import TestResponse

from local.guard import HEADERS, guard, new_token

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
