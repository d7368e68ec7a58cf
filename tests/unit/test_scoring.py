import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.credentials import Credentials
from conftest import Stores
from werkzeug import Request, Response
from werkzeug.serving import make_server

from classifier.predict import MOST_BYTES, requested_items
from notifier import scoring
from notifier.scoring import Prediction, Scores, ScoringFailed, score_items
from osusume.items import Item, Section
from osusume.kept_scores import KeptScores
from osusume.ledger import Ledger, Reason
from osusume.observability import SNAPSHOT_HEADER
from osusume.snapshots import is_snapshot_key
from samples.works import demo_works

WORKS = demo_works()
CREDENTIALS = Credentials("AKIDTEST", "secret-of-the-tests", "session-of-the-tests")

Answer = Callable[[list[Item]], Response]


@dataclass
class Api:
    """The classifier's API: it keeps the requests it gets and gives the answers of `queue`, later the usual ones."""

    url: str = ""
    queue: deque[Answer] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    batches: list[list[Item]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        body = request.get_data()
        self.requests.append(request)
        self.sizes.append(len(body))
        self.batches.append(requested_items(body.decode(), is_base64=False))
        answer = self.queue.popleft() if self.queue else usual()
        return answer(self.batches[-1])(environ, start_response)

    def score(self, items: list[Item], kept: KeptScores | None = None, snapshot: str = "") -> Scores:
        return score_items(items, self.url, CREDENTIALS, "ap-northeast-1", kept, snapshot)


def content(items: list[Item], version: str = "v1", threshold: float | None = 0.5) -> dict[str, Any]:
    score = None if threshold is None else 0.75
    reasons = [{"field": "title", "value": "雨", "effect": 0.125}]
    predictions = [{"item_id": item.item_id, "score": score, "label": 1, "reasons": reasons} for item in items]
    return {"model_version": version, "threshold": threshold, "predictions": predictions}


def usual(version: str = "v1", threshold: float | None = 0.5) -> Answer:
    return lambda items: body(json.dumps(content(items, version, threshold)))


def changed(change: Callable[[dict[str, Any]], object]) -> Answer:
    """Give the usual answer after `change` was made to it."""

    def answer(items: list[Item]) -> Response:
        value = content(items)
        change(value)
        return body(json.dumps(value))

    return answer


def body(text: str) -> Response:
    return Response(text, content_type="application/json")


def status(code: int, text: str = '{"message": "Service Unavailable"}') -> Answer:
    return lambda _items: Response(text, status=code, content_type="application/json")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    # the same tries without the waits between them
    monkeypatch.setattr(scoring, "RETRY", scoring.RETRY.new(backoff_factor=0))
    api = Api()
    server = make_server("127.0.0.1", 0, api, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}/predict"
    yield api
    server.shutdown()
    thread.join()
    server.server_close()


def test_items_get_their_scores_and_reasons(api: Api) -> None:
    scores = api.score(WORKS[:2])
    assert (scores.model_version, scores.threshold) == ("v1", 0.5)
    assert list(scores.predictions) == [work.item_id for work in WORKS[:2]]
    assert scores.predictions[WORKS[0].item_id] == Prediction(0.75, [Reason("title", "雨", 0.125)])


def test_items_arrive_whole(api: Api) -> None:
    api.score(WORKS[:3])
    assert api.batches == [WORKS[:3]]


def test_a_request_is_signed_for_the_api(api: Api) -> None:
    api.score(WORKS[:1])
    headers = api.requests[0].headers
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDTEST/")
    assert "/ap-northeast-1/execute-api/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "session-of-the-tests"
    assert headers["X-Amz-Date"]


@pytest.mark.parametrize("key", ["snapshots/dlsite/2026/11/22/220000Z.json", "snapshots/dlsite/手で.json", "check"])
def test_a_request_names_its_snapshot_under_the_signature_if_the_key_fits_a_header(api: Api, key: str) -> None:
    api.score(WORKS[:1], snapshot=key)
    headers = api.requests[0].headers
    assert headers.get(SNAPSHOT_HEADER) == (key if is_snapshot_key(key) else None)
    assert (f";{SNAPSHOT_HEADER}" in headers["Authorization"]) == is_snapshot_key(key)


def test_a_head_that_could_not_be_read_for_one_answer_is_told(api: Api) -> None:
    assert not api.score(WORKS[:25]).head_unusable
    api.queue.append(changed(lambda value: value.update(head_unusable=True)))
    assert api.score(WORKS[:25]).head_unusable


def test_many_items_go_twenty_at_a_time(api: Api) -> None:
    scores = api.score(WORKS[:45])
    assert [len(batch) for batch in api.batches] == [20, 20, 5]
    assert len(scores.predictions) == 45


def test_long_items_go_in_requests_that_the_classifier_takes(api: Api) -> None:
    bare = [replace(work, sections=[Section(None, "")]) for work in WORKS[:30]]
    # a twentieth of what the classifier takes, each: the brackets and commas between them would be too much
    lengths = [MOST_BYTES // 20 - len(json.dumps(item.to_json())) for item in bare]
    long = [replace(item, sections=[Section(None, "x" * length)]) for item, length in zip(bare, lengths, strict=True)]
    scores = api.score(long)
    assert max(api.sizes) <= MOST_BYTES
    assert [item for batch in api.batches for item in batch] == long
    assert len(scores.predictions) == 30


def test_no_items_need_no_request(api: Api) -> None:
    assert api.score([]) == Scores("", None, {})
    assert api.requests == []


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_classifier_that_is_starting_is_asked_again(api: Api, code: int) -> None:
    api.queue.extend([status(code), status(code)])
    assert len(api.score(WORKS[:2]).predictions) == 2
    assert len(api.requests) == 3


def test_a_classifier_that_stays_away_is_asked_five_times(api: Api) -> None:
    api.queue.extend([status(503)] * 9)
    with pytest.raises(ScoringFailed, match="503"):
        api.score(WORKS[:2])
    assert len(api.requests) == 5


@pytest.mark.parametrize("code", [400, 403, 413, 422])
def test_a_refusal_is_not_asked_again_and_says_why(api: Api, code: int) -> None:
    api.queue.append(status(code, '{"error": "items[0].title is missing"}'))
    with pytest.raises(ScoringFailed, match=rf"answered {code}: .*items\[0\]\.title is missing"):
        api.score(WORKS[:2])
    assert len(api.requests) == 1


def test_a_classifier_that_is_not_there_is_an_error() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "RETRY", scoring.RETRY.new(backoff_factor=0))
        with pytest.raises(ScoringFailed, match="could not be asked"):
            score_items(WORKS[:1], "http://127.0.0.1:1/predict", CREDENTIALS, "ap-northeast-1")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _items: body("<html>"),
        lambda _items: body(""),
        lambda items: body(json.dumps(content(items))[:-9]),
        lambda _items: body("[]"),
        lambda _items: body("null"),
        lambda _items: body("{}"),
        changed(lambda value: value.pop("model_version")),
        changed(lambda value: value.pop("threshold")),
        changed(lambda value: value.update(threshold="high")),
        changed(lambda value: value.update(threshold=float("nan"))),
        changed(lambda value: value.update(threshold=1.5)),
        changed(lambda value: value.update(predictions=None)),
        changed(lambda value: value.update(predictions={})),
        changed(lambda value: value["predictions"].pop()),
        changed(lambda value: value["predictions"][1].pop("item_id")),
        changed(lambda value: value["predictions"][1].update(item_id=["RJ1"])),
        changed(lambda value: value["predictions"][1].pop("score")),
        changed(lambda value: value["predictions"][1].update(score=None)),
        changed(lambda value: value["predictions"][1].update(score=float("nan"))),
        changed(lambda value: value["predictions"][1].update(score=1.5)),
        changed(lambda value: value["predictions"][1].update(score=-0.1)),
        changed(lambda value: value["predictions"][1].update(score="good")),
        changed(lambda value: value["predictions"][1].pop("reasons")),
        changed(lambda value: value["predictions"][1].update(reasons=[{"field": "title"}])),
        changed(lambda value: value["predictions"][1]["reasons"][0].update(effect=float("inf"))),
        changed(lambda value: value["predictions"][1]["reasons"][0].update(effect=float("nan"))),
        lambda items: body(json.dumps({**content(items), "threshold": None})),
    ],
    ids=[
        "HTML",
        "empty",
        "cut off",
        "a list",
        "null",
        "an empty object",
        "no model version",
        "no threshold",
        "a threshold that is no number",
        "a threshold of NaN",
        "a threshold over 1",
        "predictions null",
        "no predictions",
        "an item left out",
        "a prediction without item",
        "a prediction of a list",
        "no score",
        "a score of null",
        "a score of NaN",
        "a score over 1",
        "a score under 0",
        "a score that is no number",
        "no reasons",
        "half a reason",
        "an infinite effect",
        "an effect of NaN",
        "scores without a threshold",
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(api: Api, answer: Answer) -> None:
    api.queue.append(answer)
    with pytest.raises(ScoringFailed, match="the classifier"):
        api.score(WORKS[:2])


def test_an_item_left_out_is_named(api: Api) -> None:
    api.queue.append(changed(lambda value: value["predictions"].pop()))
    with pytest.raises(ScoringFailed, match=f"no score for {WORKS[1].item_id}"):
        api.score(WORKS[:2])


def test_an_item_that_was_not_asked_for_is_left_out(api: Api) -> None:
    api.queue.append(lambda _items: body(json.dumps(content(WORKS[:3]))))
    assert list(api.score(WORKS[:2]).predictions) == [work.item_id for work in WORKS[:2]]


def test_no_taste_gives_no_scores_and_no_threshold(api: Api) -> None:
    api.queue.append(usual(threshold=None))
    scores = api.score(WORKS[:2])
    assert scores.threshold is None
    assert [prediction.score for prediction in scores.predictions.values()] == [None, None]


def test_what_the_old_model_said_is_asked_anew_where_the_model_changes_halfway(api: Api) -> None:
    api.queue.extend([usual("v1"), usual("v2"), usual("v2")])
    scores = api.score(WORKS[:25])
    assert scores.model_version == "v2"
    assert [len(batch) for batch in api.batches] == [20, 5, 20]


def test_what_had_another_threshold_is_asked_anew_where_the_threshold_changes_halfway(api: Api) -> None:
    api.queue.extend([usual(threshold=0.5), usual(threshold=0.6), usual(threshold=0.6)])
    assert api.score(WORKS[:25]).threshold == 0.6


def test_a_model_that_changes_over_and_over_is_an_error(api: Api) -> None:
    api.queue.extend([usual("v1"), usual("v2"), usual("v3")])
    with pytest.raises(ScoringFailed, match="changed its model"):
        api.score(WORKS[:25])


def test_a_secret_never_stands_in_an_error(api: Api) -> None:
    api.queue.append(status(403, '{"message": "Forbidden"}'))
    with pytest.raises(ScoringFailed) as caught:
        api.score(WORKS[:1])
    assert "of-the-tests" not in str(caught.value)


def kept(stores: Stores) -> KeptScores:
    return KeptScores(stores.dynamodb, stores.items_table, "snapshots/a.json")


def test_a_call_after_one_that_was_cut_off_asks_for_the_rest_alone(api: Api, stores: Stores) -> None:
    api.queue.extend([usual(), status(403)])
    with pytest.raises(ScoringFailed):
        api.score(WORKS[:45], kept(stores))
    asked = len(api.batches)
    assert api.score(WORKS[:45], kept(stores)) == api.score(WORKS[:45])
    assert [len(batch) for batch in api.batches[asked : asked + 3]] == [20, 5, 20]


def test_kept_answers_to_other_items_do_not_count(api: Api, stores: Stores) -> None:
    api.score(WORKS[:5], kept(stores))
    assert api.score(WORKS[3:8], kept(stores)).predictions.keys() == {work.item_id for work in WORKS[3:8]}


def test_kept_answers_of_an_older_model_are_asked_anew(api: Api, stores: Stores) -> None:
    api.queue.extend([usual("v1"), status(403), usual("v2"), usual("v2")])
    with pytest.raises(ScoringFailed):
        api.score(WORKS[:25], kept(stores))
    assert api.score(WORKS[:25], kept(stores)).model_version == "v2"
    assert api.score(WORKS[:25], kept(stores)).model_version == "v2"
    assert len(api.batches) == 4


def test_kept_answers_are_no_records_of_the_ledger(api: Api, stores: Stores) -> None:
    api.score(WORKS[:5], kept(stores))
    ledger = Ledger(stores.dynamodb, stores.items_table)
    assert ledger.get(["scores:snapshots/a.json:0"]) == {}
    assert list(ledger.all()) == []
