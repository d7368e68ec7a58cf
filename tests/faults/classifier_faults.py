"""What goes wrong between the notifier and the classifier."""

from __future__ import annotations

from typing import Any

from injector import Rule, answered, calls, changed, json_answered, late, slow

from faults.fault import Fault, a_day_of
from faults.harness import Harness, Settings

GROUP = "Classifier"
_ASK = calls("notifier", "classifier:")
_COLD = json_answered(503, {"message": "Service Unavailable"})
_FAILED = json_answered(500, {"message": "Internal Server Error"})

MANY = 45
"""More new works than two requests of the notifier hold."""

MANY_WORKS = Settings(parameters=(("ItemLimit", "60"),))
SHORT_OF_TIME = Settings(parameters=(("ItemLimit", "60"),), time_limits=(("NotifierFunction", 6.0),))


def _of_another_model(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "model_version": "another", "threshold": 0.5}


def _without_the_last(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "predictions": answer["predictions"][:-1]}


def _not_a_number(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "predictions": [{**prediction, "score": float("nan")} for prediction in answer["predictions"]]}


def _out_of_time(on: Harness) -> int:
    """Let scoring take longer than the notifier has: each try keeps what it was answered, and the next goes on."""
    before = len(on.wire.log)
    times = a_day_of(Rule(_ASK, slow(2.5)), new=MANY)(on)
    asked = sum(noted.function == "NotifierFunction" and "/predict" in noted.path for noted in on.wire.log[before:])
    batches = -(-MANY // 20) + 1
    if asked > batches + 2:
        raise AssertionError(f"{asked} requests were made for {batches} batches: answers were not kept")
    return times


FAULTS = (
    Fault(
        GROUP,
        "classifier-timeout",
        "time-out: no answer within 35 s, once",
        a_day_of(Rule(_ASK, late(36.0), 1)),
        seconds=40,
    ),
    Fault(GROUP, "classifier-500", "500, twice", a_day_of(Rule(_ASK, _FAILED, 2)), is_quick=True),
    Fault(GROUP, "classifier-503", "503 while it is cold, three times", a_day_of(Rule(_ASK, _COLD, 3)), seconds=10),
    Fault(GROUP, "classifier-away", "503, all day", a_day_of(Rule(_ASK, _COLD)), seconds=55),
    Fault(GROUP, "classifier-nonsense", "an answer not in JSON, once", a_day_of(Rule(_ASK, answered(200, b"<"), 1))),
    Fault(
        GROUP,
        "classifier-half",
        "an answer with a score missing, once",
        a_day_of(Rule(_ASK, changed(_without_the_last), 1)),
    ),
    Fault(GROUP, "classifier-nan", "scores that are no numbers, once", a_day_of(Rule(_ASK, changed(_not_a_number), 1))),
    Fault(
        GROUP,
        "classifier-new-model",
        "another model version and threshold halfway through a run",
        a_day_of(Rule(_ASK, changed(_of_another_model), 1), new=MANY),
        MANY_WORKS,
        seconds=15,
    ),
    Fault(
        GROUP,
        "classifier-slow",
        "answers so slow that the notifier's time is over before all is scored",
        _out_of_time,
        SHORT_OF_TIME,
        seconds=30,
    ),
)
