"""Feeds on this machine: a server whose documents, validators and answers a test sets."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Answer:
    """An answer of the server; with an ETag it answers 304 to who has it already."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FeedServer:
    """A running server: its answers by path, and the requests that came."""

    origin: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def address(self, path: str = "/feed") -> str:
        return self.origin + path

    def publish(self, titles: Sequence[str], path: str = "/feed", etag: str = "") -> None:
        """Serve an RSS feed with an entry for each title, newest first."""
        headers = {"Content-Type": "application/rss+xml"} | ({"ETag": etag} if etag else {})
        self.answers[path] = Answer(rss(titles), headers=headers)

    def asked(self, path: str = "/feed") -> int:
        return sum(asked == path for asked, _ in self.requests)


def rss(titles: Sequence[str]) -> bytes:
    """Return a feed with an entry for each title; its address and id come from the title."""
    entries = "".join(
        f"<item><title>{title}</title><link>https://example.com/{title}</link>"
        f"<description>{title}の話です。</description></item>"
        for title in titles
    )
    return f'<rss version="2.0"><channel><title>港の便り</title>{entries}</channel></rss>'.encode()


@contextmanager
def serve_feeds() -> Iterator[FeedServer]:
    """Serve feeds for the duration of the context; any other path is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            served.requests.append((path, dict(self.headers)))
            answer = served.answers.get(path, Answer(status=404))
            etag = answer.headers.get("ETag")
            is_known = etag is not None and self.headers.get("If-None-Match") == etag
            self.send_response(304 if is_known else answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            body = b"" if is_known else answer.body
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = FeedServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
