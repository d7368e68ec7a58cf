from __future__ import annotations

import base64
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from classifier.predict import MOST_BYTES
from model.serving.package import ModelPackage
from osusume.items import Item
from osusume.observability import SNAPSHOT_HEADER, logger
from osusume.settings import InvalidSetting

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "model" / "starter"

Answering = Callable[..., tuple[int, dict[str, object]]]


def item(number: int = 1, **changes: object) -> dict[str, object]:
    rain = Item(
        f"RJ0100000{number}",
        "dlsite",
        f"https://example.com/RJ0100000{number}",
        "雨の図書室で眠る",
        attributes={"circle": ["青い栞"], "voice_actors": ["春野こよみ"], "genres": ["睡眠", "癒し"]},
    )
    return {**rain.to_json(), **changes}


def event(body: str | None, method: object = "POST", path: object = "/predict", **changes: object) -> dict[str, object]:
    request = {"http": {"method": method, "path": path}, "stage": "$default"}
    return {
        "version": "2.0",
        "rawPath": path,
        "requestContext": request,
        "body": body,
        "isBase64Encoded": False,
    } | changes


def answering_with(monkeypatch: pytest.MonkeyPatch, made_up_taste: str) -> Answering:
    """Start the function as Lambda does, with the environment read and the package loaded on import."""
    monkeypatch.setenv("MODEL_PACKAGE", str(STARTER))
    monkeypatch.setenv("MADE_UP_TASTE", made_up_taste)
    sys.modules.pop("classifier.app", None)
    app = importlib.import_module("classifier.app")
    context = SimpleNamespace(
        function_name="classifier",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:ap-northeast-1:123456789012:function:classifier",
        aws_request_id="request-1",
    )

    def answer(body: object, **changes: object) -> tuple[int, dict[str, object]]:
        response = app.handler(event(body if isinstance(body, str | None) else json.dumps(body), **changes), context)
        return response["statusCode"], json.loads(response["body"])

    return answer


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answering:
    return answering_with(monkeypatch, "use")


def error_of(body: dict[str, object]) -> dict[str, str]:
    error = body["error"]
    assert isinstance(error, dict)
    return error


def test_each_item_gets_its_prediction_in_the_order_of_the_request(answer: Answering) -> None:
    status, body = answer({"items": [item(2), item(1, title="大声の対決コメディ")]})
    package = ModelPackage.load(STARTER)
    expected = package.score([Item.from_json(item(2)), Item.from_json(item(1, title="大声の対決コメディ"))])
    assert status == 200
    assert body == {
        "model_version": package.version,
        "threshold": package.threshold,
        "predictions": [
            {
                "item_id": prediction.item_id,
                "score": prediction.score,
                "label": prediction.label,
                "reasons": [{"field": r.field, "value": r.value, "effect": r.effect} for r in prediction.reasons],
            }
            for prediction in expected
        ],
    }


def test_a_base64_body_is_decoded(answer: Answering) -> None:
    plain = json.dumps({"items": [item()]}, ensure_ascii=False)
    encoded = base64.b64encode(plain.encode()).decode()
    assert answer(encoded, isBase64Encoded=True) == answer(plain)


@pytest.mark.parametrize(
    ("named", "is_logged"),
    [
        ("snapshots/dlsite/2026/11/22/220000Z.json", True),
        ("snapshots/dlsite/2026/11/22/220000Z.json\n", False),
        (f"snapshots/{'x' * 65}/2026/11/22/220000Z.json", False),
        ("snapshots/../2026/11/22/220000Z.json", False),
        (["snapshots"], False),
        ("", False),
    ],
)
def test_the_log_names_the_snapshot_of_a_request_only_if_it_has_the_form_of_a_key(
    answer: Answering, named: object, is_logged: bool
) -> None:
    status, _ = answer({"items": [item()]}, headers={SNAPSHOT_HEADER: named})
    assert status == 200
    assert logger.get_current_keys().get("snapshot") == (named if is_logged else None)
    answer({"items": [item()]})
    assert "snapshot" not in logger.get_current_keys()


def test_an_answer_says_that_the_promoted_head_cannot_be_read(answer: Answering) -> None:
    assert "head_unusable" not in answer({"items": [item()]})[1]
    sys.modules["classifier.app"].serving.head_unusable = True
    assert answer({"items": [item()]})[1]["head_unusable"] is True


def test_a_hundred_items_are_taken(answer: Answering) -> None:
    status, body = answer({"items": [item(number, attributes={}) for number in range(100)]})
    assert status == 200
    assert len(body["predictions"]) == 100  # type: ignore[arg-type]  # a list, by the contract


def test_half_a_surrogate_pair_in_a_title_is_scored_all_the_same(answer: Answering) -> None:
    assert answer({"items": [item(title="雨\ud83d")]})[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (None, 400, None),
        ("", 400, None),
        ("{", 400, None),
        ("[" * 100_000, 400, None),
        ("\ud83d", 400, None),
        ([], 422, "items"),
        ("null", 422, "items"),
        ({}, 422, "items"),
        ({"items": None}, 422, "items"),
        ({"items": {"0": item()}}, 422, "items"),
        ({"items": []}, 422, "items"),
        ({"items": [item(number) for number in range(101)]}, 422, "items"),
        ({"items": ["RJ01000001"]}, 422, "items[0]"),
        ({"items": [item(1), item(2), item(3), item(4, title=None)]}, 422, "items[3].title"),
        ({"items": [item(title=7)]}, 422, "items[0].title"),
        ({"items": [item(1), {"item_id": "RJ01000002", "source": "dlsite", "title": "雨"}]}, 422, "items[1].url"),
        ({"items": [item(price="1,320円")]}, 422, "items[0].price"),
        ({"items": [item(attributes={"genres": "ASMR"})]}, 422, "items[0].attributes.genres"),
        ({"items": [item(sections=[{"heading": "あらすじ"}])]}, 422, "items[0].sections[0]"),
        ({"items": [item(1), item(2), item(1)]}, 422, "items[2].item_id"),
    ],
)
def test_a_malformed_request_is_refused_with_the_field_named(
    answer: Answering, body: object, status: int, field: str | None
) -> None:
    answered, answer_body = answer(body)
    error = error_of(answer_body)
    assert (answered, error["field"]) == (status, field)
    assert error["message"]
    assert answer_body.keys() == {"error"}


def test_a_body_that_is_not_base64_though_marked_so_is_refused(answer: Answering) -> None:
    assert answer("あ", isBase64Encoded=True)[0] == 400


@pytest.mark.parametrize("is_base64", [False, True])
def test_a_body_over_the_limit_is_refused_whatever_it_holds(answer: Answering, is_base64: bool) -> None:
    content = "x" * (2 * MOST_BYTES)
    body = base64.b64encode(content.encode()).decode() if is_base64 else content
    status, answer_body = answer(body, isBase64Encoded=is_base64)
    assert status == 413
    assert str(MOST_BYTES) in error_of(answer_body)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/", 404), ("POST", "/x", 404), ("GET", "/predict", 405)]
)
def test_any_other_route_is_refused(answer: Answering, method: str, path: str, status: int) -> None:
    assert answer({"items": [item()]}, method=method, path=path)[0] == status


def test_a_made_up_taste_scores_nothing_unless_it_is_to_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    status, body = answering_with(monkeypatch, "ignore")({"items": [item()]})
    assert status == 200
    assert body["threshold"] is None
    assert body["predictions"] == [{"item_id": "RJ01000001", "score": None, "label": None, "reasons": []}]


def test_a_malformed_request_is_refused_also_when_no_taste_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answering_with(monkeypatch, "ignore")({"items": []})[0] == 422


def test_a_setting_that_means_nothing_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match=r"MADE_UP_TASTE.*'maybe'"):
        answering_with(monkeypatch, "maybe")


def test_what_the_dockerfile_copies_is_enough_to_answer(tmp_path: Path) -> None:
    for line in (ROOT / "functions/classifier/Dockerfile").read_text().splitlines():
        words = line.split()
        if line.startswith("COPY functions/classifier /task") or "osusume" in line:
            (tmp_path / Path(words[-1]).name).symlink_to(ROOT / words[1])
        elif line.startswith("COPY model/"):
            (tmp_path / "model").mkdir(exist_ok=True)
            (tmp_path / words[1]).symlink_to(ROOT / words[1])
    (tmp_path / "package").symlink_to(STARTER)
    script = """
import sys
from pathlib import Path
from model.serving.package import ModelPackage
from osusume.items import Item
import classifier.predict, classifier.serving, osusume.observability, osusume.settings
print(classifier.predict.answer(ModelPackage.load("package"), [Item("1", "s", "u", "t")], use_made_up_taste=True))
assert not {"torch", "transformers", "onnx", "rich"} & sys.modules.keys()
"""
    run = subprocess.run(  # noqa: S603  # this test's own script
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, env={}, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "'item_id': '1'" in run.stdout
