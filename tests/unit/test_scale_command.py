"""The command `scale` on measurements made by hand: what it prints, and when it does not believe itself."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from local.__main__ import main
from local.scale.command import ScaleFailed, run_scale
from local.scale.counts import Counts
from local.scale.heads import HeadSeconds
from local.scale.machine_model import Demand, Machine
from local.scale.measured import Batch, Measured, Run, means
from local.scale.service import CALL_SECONDS, MEMORY_OF_A_PROCESSOR, POST_SECONDS, service_of
from local.scale.validation import compare

LARGEST = 40
CALLS = {"PutItem": 22, "UpdateItem": 20, "BatchGetItem": 10}
DELIVERY = Demand(calls=52, function=0.25, classifier=0.1, main=0.4, pause=0.1)
PRESS = Demand(calls=6, function=0.02, classifier=0.0, main=0.04, pause=0.01, behind=0.5)


def batch(demand: Demand, jobs: int, at_once: int, calls: dict[str, int], kinds: dict[str, float]) -> Batch:
    """Return what a machine that is just as the model says would have measured."""
    run = Machine(seed=7).run(demand, jobs, at_once)
    processors = {"main": demand.main, "notifier": demand.function, "classifier": demand.classifier}
    return Batch(
        at_once,
        run.wall,
        {**{name: jobs * seconds for name, seconds in processors.items()}, "others": 0.0},
        run.durations if demand.behind else run.ends,
        {kind: jobs * seconds for kind, seconds in kinds.items()},
        {operation: jobs * number for operation, number in calls.items()},
        calling=jobs * 0.4,
    )


def measured_run(owners: int, at_once: int) -> Run:
    deliveries = batch(DELIVERY, owners, at_once, CALLS, {"notifier": 0.8, "classifier": 0.1})
    press_calls = {"BatchGetItem": 2, "PutItem": 1, "Invoke": 1, "GetItem": 2}
    presses = batch(PRESS, 5 * owners, min(2, at_once), press_calls, {"press": 0.03, "tell": 0.03})
    return Run(owners, [deliveries], [presses], posts=10 * owners, counts=Counts())


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measured(
        at="2026-11-28T00:00:00+00:00",
        machine="made by hand",
        items=20,
        runs={owners: measured_run(owners, min(owners, 4)) for owners in (1, 10, LARGEST)},
        heads=HeadSeconds(embed=0.002, score=0.005, read=0.05, refit=4.0),
        press_start_seconds=0.4,
        record_bytes=2300.0,
        log_bytes={"notifier": 900.0, "classifier": 400.0, "press": 60.0, "tell": 50.0},
    )


def test_a_measurement_is_read_as_it_was_written(measured: Measured, tmp_path: Path) -> None:
    measured.write(tmp_path / "a" / "scale.json")

    assert Measured.read(tmp_path / "a" / "scale.json") == measured


def test_a_machine_that_is_as_the_model_says_is_predicted(measured: Measured) -> None:
    comparisons = compare(measured)

    assert {each.owners for each in comparisons} == {10, LARGEST}
    assert all(each.is_close for each in comparisons)


def test_the_largest_run_is_predicted_without_looking_at_its_times(measured: Measured) -> None:
    largest = measured.runs[LARGEST]
    slower = [replace(each, wall=9 * each.wall, seconds=[9 * s for s in each.seconds]) for each in largest.deliveries]
    changed = replace(measured, runs={**measured.runs, LARGEST: replace(largest, deliveries=slower)})

    assert [each.predicted for each in compare(changed)] == [each.predicted for each in compare(measured)]


def test_means_add_up_batches_of_any_size(measured: Measured) -> None:
    found = means([*measured.runs[1].deliveries, *measured.runs[10].deliveries])

    assert found.main == pytest.approx(DELIVERY.main)
    assert found.function == pytest.approx(DELIVERY.function)
    assert found.calls == pytest.approx(52)


def test_seconds_on_lambda_are_processor_seconds_stretched_to_the_memory_and_calls(measured: Measured) -> None:
    service = service_of(measured)
    stretch = MEMORY_OF_A_PROCESSOR / 512

    assert service.posts == 10
    assert service.record_seconds + 10 * (service.post_seconds - POST_SECONDS) == pytest.approx(
        (0.25 + 20 * 0.005 + 0.05) * stretch + 52 * CALL_SECONDS
    )
    assert service.record_writes == 22 * 3  # a record of 2,300 bytes is three units


def test_the_findings_are_printed_where_they_are_believed(measured: Measured, tmp_path: Path) -> None:
    measured.write(tmp_path / "scale.json")
    printed = StringIO()

    run_scale(tmp_path / "scale.json", Console(file=printed, width=100), reuse=True, owners=(1, 1000))

    for text in ("1,000", "deliveries, p99", "Slack: a message a second", "0, 0, 0", "it is."):
        assert text in printed.getvalue()


def test_everything_is_in_the_json(measured: Measured, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured.write(tmp_path / "scale.json")

    run_scale(tmp_path / "scale.json", Console(), reuse=True, as_json=True, owners=(1, 10))

    found = json.loads(capsys.readouterr().out)
    assert [row["owners"] for row in found["rows"]] == [1, 10]
    assert found["problems"] == []
    assert found["measured"]["runs"][str(LARGEST)]["counts"] == {"lost": 0, "doubled": 0, "crossed": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": Counts(crossed=1)}, "0, 0, 1 items or presses lost, doubled, crossed"),
        ({"presses": []}, "the model is not to be believed"),
    ],
    ids=["an item crossed between owners", "presses that took three times as long"],
)
def test_it_fails_where_something_is_wrong(
    measured: Measured, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    largest = measured.runs[LARGEST]
    slow = [replace(each, wall=3 * each.wall) for each in largest.presses]
    changed = replace(largest, **({"presses": slow} if "presses" in change else change))
    replace(measured, runs={**measured.runs, LARGEST: changed}).write(tmp_path / "scale.json")

    with pytest.raises(ScaleFailed, match=message):
        run_scale(tmp_path / "scale.json", Console(file=StringIO()), reuse=True, owners=(1,))


def test_a_file_that_is_no_measurement_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scale.json").write_text("{}")

    assert main(["scale", "--reuse", "--file", str(tmp_path / "scale.json")]) == 2
    assert "no measurement" in capsys.readouterr().err
