"""The desk's page on 127.0.0.1."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from flask import Flask, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.serving import WSGIRequestHandler, make_server

from desk import view_models
from desk.desk import Desk, UnknownItem
from desk.journal import Journal
from desk.learning_thread import EVERY, LEAST_LABELS
from desk.order import LEAST_LABELS_TO_TEACH, Selection
from desk.steering import Steering
from desk.store import NotStored
from osusume.errors import UserError
from osusume.items import Item
from web.guard import guard

_HOST = "127.0.0.1"
_LARGEST_REQUEST = 64 * 1024


class _Malformed(Exception):
    """Raised for a request that the desk's page never sends."""


def desk_app(desk: Desk, token: str, where: str, steering: Steering | None = None) -> Flask:
    """Return the web app of a desk; `where` tells the owner where the labels are, `steering` is a deployed stack's."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_REQUEST
    app.jinja_env.filters |= {"duration": view_models.duration, "verdict": view_models.verdict}

    def page() -> Response:
        view = Selection.from_query(request.args)
        every = desk.all_items()
        return _html(
            render_template(
                "desk.html",
                **_standing(desk, view),
                where=where,
                rules=steering and steering.rules,
                names=steering and steering.names,
                filters=[_filter(name, view, every) for name in view_models.fields_of(every)],
                orders=[
                    (name, urlencode(replace(view, mode=mode).to_query()), mode == view.mode)
                    for mode, name in view_models.MODES.items()
                ],
                unfiltered=urlencode(Selection(view.mode).to_query()),
            )
        )

    def state() -> Response:
        standing = _standing(desk, Selection.from_query(request.args))
        return _json({name: render_template(f"{name}.html", **standing) for name in ("progress", "learnt")})

    def label() -> Response:
        action, item_id, kind = _sent("action"), _sent("item_id"), _body().get("is_interested")
        if kind not in (0, 1):
            raise _Malformed("is_interested must be 0 or 1")
        return _done(desk, lambda: desk.label(action, item_id, is_interested=kind == 1))

    def skip() -> Response:
        action, item_id = _sent("action"), _sent("item_id")
        return _done(desk, lambda: desk.skip(action, item_id))

    def undo() -> Response:
        undone = _sent("undoes")
        return _done(desk, lambda: desk.undo(undone))

    def like() -> Response:
        if steering is None:
            raise _Malformed("no stack is open")
        try:
            steering.like(request.form.get("names", ""))
        except NotStored as error:
            return Response(str(error), status=503, mimetype="text/plain")
        return redirect(url_for("page"), code=303)

    app.add_url_rule("/", view_func=page)
    app.add_url_rule("/state", view_func=state)
    for act in (label, skip, undo, like):
        app.add_url_rule(f"/{act.__name__}", view_func=act, methods=["POST"])
    app.register_error_handler(_Malformed, _malformed)
    guard(app, token)
    return app


@contextmanager
def serve_desk(
    desk: Desk, journal: Journal, where: str, port: int | None, steering: Steering | None = None
) -> Iterator[str]:
    """Serve the desk's page until the block ends, and yield its address.

    Without `port` it uses the previous port, or a free one. Raises `UserError` if `port` is in use.
    """
    app = desk_app(desk, journal.token, where, steering)
    # Bound here, because werkzeug ends the process if a port is in use.
    with _bound(port, journal.port or 0) as bound:
        server = make_server(_HOST, 0, app, threaded=True, request_handler=_Quiet, fd=bound.fileno())
    journal.serve_at(server.port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="desk", daemon=True)
    thread.start()
    try:
        yield journal.address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bound(port: int | None, last: int) -> socket.socket:
    """Return a socket that listens on `port`; without one, on `last` or a free port."""
    try:
        return socket.create_server((_HOST, port or last))
    except OSError as error:
        if port:
            raise UserError(
                f"port {port} of {_HOST} cannot be used ({error.strerror}): choose another with --port"
            ) from error
        return socket.create_server((_HOST, 0))


class _Quiet(WSGIRequestHandler):
    """Handles requests without logging each of them; errors are still logged."""

    def log_request(self, *_: object) -> None:
        """Stay silent."""


def _filter(name: str, view: Selection, items: Sequence[Item]) -> dict[str, object]:
    """Return the template's values for one filter."""
    return {
        "field": name,
        "name": view_models.FIELD_NAMES.get(name, name),
        "value": view.filters.get(name, ""),
        "suggestions": view_models.suggestions(items, name),
    }


def _standing(desk: Desk, view: Selection) -> dict[str, Any]:
    """Return the values for the templates of the page's changing parts."""
    place = desk.place(view)
    lesson, labels = desk.learner.lesson, len(desk.store.marks)
    mark = desk.store.marks.get(place.item.item_id) if place.item else None
    return {
        "card": view_models.card(place.item) if place.item else None,
        "view": view,
        "is_skipped": place.item is not None and place.item.item_id in desk.skipped,
        "answer": None if mark is None else view_models.answer(mark),
        "chance": lesson.chances.get(place.item.item_id) if lesson and place.item else None,
        "progress": view_models.progress(desk.store.marks, desk.unlabelled),
        "left_here": place.left,
        "last": desk.last_action,
        "learnt": lesson.learnt if lesson else None,
        "trouble": desk.learner.trouble,
        "until_learnt": max(LEAST_LABELS - labels, 0),
        "until_teaching": max(LEAST_LABELS_TO_TEACH - labels, 0),
        "every": EVERY,
    }


def _done(desk: Desk, act: Callable[[], None]) -> Response:
    """Act, and return the updated parts of the page."""
    try:
        act()
    except UnknownItem as error:
        return _json({"message": f"作品 {error} はこの一覧にないため、保存していません。"}, 404)
    except NotStored as error:
        return _json({"message": str(error)}, 503)
    except sqlite3.Error as error:  # the journal's
        return _json({"message": f"記録に書き込めません（{error}）。"}, 503)
    standing = _standing(desk, Selection.from_query(request.args))
    return _json({name: render_template(f"{name}.html", **standing) for name in ("card", "progress", "learnt")})


def _sent(name: str) -> str:
    """Return a string in the request's body. Raises `_Malformed`."""
    value = _body().get(name)
    if not isinstance(value, str):
        raise _Malformed(f"{name} must be a string")
    return value


def _body() -> dict[str, Any]:
    body = request.get_json()
    return body if isinstance(body, dict) else {}


def _malformed(error: Exception) -> Response:
    return _json({"message": f"malformed request: {error}"}, 400)


def _html(text: str) -> Response:
    # a work's JSON may hold half a surrogate pair, which UTF-8 cannot encode
    return Response(text.encode("utf-8", "replace"), mimetype="text/html")


def _json(value: dict[str, str], status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, mimetype="application/json")
