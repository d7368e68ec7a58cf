"""A pick of what `make fuzz` runs: the same seed, a few inputs of each parser."""

from dataclasses import replace

import pytest
from fuzz.run import TARGETS, inputs_of, run
from fuzz.target import Target

SEED = 1
INPUTS = 600


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damage_is_refused_by_name_or_read(target: Target) -> None:
    tally = run(target, SEED, inputs_of(target, INPUTS))
    assert (tally.problem, tally.content if tally.problem else b"") == ("", b"")


def seen(target: Target, seed: int) -> list[bytes]:
    contents: list[bytes] = []
    run(replace(target, parse=contents.append), seed, 60)
    return contents


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_same_seed_gives_the_same_damage(target: Target) -> None:
    contents = seen(target, SEED)
    assert seen(target, SEED) == contents
    assert len(set(contents)) > 10


def refuse(content: bytes) -> None:
    if b"<" in content:
        raise ZeroDivisionError


def test_an_input_that_a_parser_cannot_take_is_found_and_made_small() -> None:
    robots = next(target for target in TARGETS if target.name == "robots.txt")
    tally = run(replace(robots, parse=refuse), SEED, 200)
    assert "ZeroDivisionError" in tally.problem
    assert b"<" in tally.content
    assert len(tally.content) < 1_000
