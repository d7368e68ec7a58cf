"""One deployment of the real functions serves a few owners, each with stores, a channel and a token of their own."""

from __future__ import annotations

from pathlib import Path

from local.scale.counts import Counts
from local.scale.measure import ITEMS, PRESSES_AN_OWNER, measure
from local.scale.measured import Measured


def test_two_owners_at_once_get_what_is_theirs_and_what_it_took_is_measured(tmp_path: Path) -> None:
    told: list[str] = []

    measured = measure({2: 1}, lambda what, _share: told.append(what), warm=1, labels=40)

    run = measured.runs[2]
    (deliveries,), (presses,) = run.deliveries, run.presses
    assert run.counts == Counts(0, 0, 0)
    assert run.posts > 2
    assert len(deliveries.seconds) == 2
    assert 0 < len(presses.seconds) <= 2 * PRESSES_AN_OWNER
    assert deliveries.calls["PutItem"] >= 2 * ITEMS
    assert presses.calls["PutItem"] == len(presses.seconds)
    for seconds in (deliveries.processors["main"], *deliveries.invoked.values(), *presses.invoked.values()):
        assert seconds > 0
    assert 0 < deliveries.calling < deliveries.invoked["notifier"]
    assert measured.heads.refit > measured.heads.score > 0
    assert "delivering to 2 owners, and pressing" in told
    measured.write(tmp_path / "scale.json")
    assert Measured.read(tmp_path / "scale.json") == measured
