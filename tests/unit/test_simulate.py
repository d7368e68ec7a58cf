"""Simulated owners, on made-up works: small plans, so that no figure but the obvious ones can be asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.__main__ import main
from model.dataset import write_examples
from model.learning.examples import Example
from model.simulate import LOOPS, Owner, Plan, interval, simulate, to_json
from osusume.errors import UserError
from osusume.items import Item

WORDS = {True: ("雨音", "耳かき", "朗読", "焚き火"), False: ("怪談", "戦闘", "絶叫", "行進曲")}
SMALL = Plan(days=8, per_day=8)
TINY = Plan(days=4, per_day=8)


def works(count: int = 160) -> list[Example]:
    examples = []
    for number in range(count):
        liked = number % 4 == 0
        words = WORDS[liked]
        title = f"{words[number % 3]}と{words[(number // 3) % 4]}の夜 第{number}話"
        examples.append(Example(Item(f"RJ{number:05}", "demo", "https://example.com/", title), liked))
    return examples


def test_all_loops_see_the_same_works_and_ours_beats_chance() -> None:
    found = {result.loop: result for result in simulate(works(), SMALL, [1])}
    assert tuple(found) == LOOPS
    assert found["ours"].last.f1 > found["random"].last.f1
    assert found["all labels"].last.presses == found["random"].last.presses == 0
    assert found["ours"].decisions["promote"] > 0


def test_the_same_seed_gives_the_same_figures_in_one_process_and_in_two() -> None:
    alone = simulate(works(), TINY, [1, 2], loops=["frozen"])
    assert simulate(works(), TINY, [1, 2], loops=["frozen"], processes=2) == alone
    assert alone[0] != alone[1]


def test_an_owner_who_presses_dislikes_seldom_gives_fewer_presses() -> None:
    [full] = simulate(works(), SMALL, [1], loops=["ours"])
    [seldom] = simulate(works(), Plan(days=8, per_day=8, owner=Owner.parse("1/.2")), [1], loops=["ours"])
    assert seldom.last.presses < full.last.presses


def test_a_change_of_taste_is_followed_by_other_likes() -> None:
    [result] = simulate(works(), Plan(days=16, per_day=6, change_at=8), [1], loops=["ours"])
    assert result.before_change
    assert result.after_change
    assert result.curve[1] != result.curve[2]


def test_a_rate_is_kept_though_the_file_has_another() -> None:
    [result] = simulate(works(), Plan(days=10, per_day=8, rate=0.1), [1], loops=["random"])
    shown, hits = result.last.recommended, result.last.precision
    assert shown == pytest.approx(1, abs=0.2)
    assert hits <= 0.5


def test_an_interval_needs_two_seeds() -> None:
    assert interval([1.0]) == (1.0, float("-inf"), float("inf"))
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert (mean, round(low, 3), round(high, 3)) == (2.0, -0.484, 4.484)


@pytest.mark.parametrize("text", ["half", ".8", ".8/x", "2/.1", ".8/.1/.2"])
def test_presses_that_are_no_probabilities_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        Owner.parse(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--days", "400"], "too few for 400 days"),
        (["--rate", "1.5"], "--rate must lie between 0 and 1"),
        (["--cost", "0"], "--cost must be above 0"),
        (["--change-at", "60"], "--change-at must lie before day 60"),
        (["--presses", "often"], "--presses must be full or two probabilities"),
    ],
)
def test_an_option_that_cannot_be_used_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    data = tmp_path / "labels.jsonl"
    write_examples(data, works())
    assert main(["simulate", "--data", str(data), *options]) == 1
    assert message in capsys.readouterr().err


def test_the_command_prints_a_table_or_json_and_draws_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, plot = tmp_path / "labels.jsonl", tmp_path / "plots" / "f1.png"
    write_examples(data, works(60))
    small = ["simulate", "--data", str(data), "--days", "4", "--per-day", "5", "--seeds", "1", "--change-at", "2"]
    assert main([*small, "--plot", str(plot)]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in (*LOOPS, "precision", "share of it", "nights of ours", "after the change"))
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert main([*small, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert len(value["results"]) == len(LOOPS)
    assert to_json(Plan(), [])["plan"]["days"] == 60
