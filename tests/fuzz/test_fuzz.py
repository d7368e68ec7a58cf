"""A pick of what `make fuzz` runs: the same seed, the first inputs of each parser."""

import pytest
from fuzz.run import TARGETS, inputs_of, run
from fuzz.target import Target

SEED = 1
INPUTS = 1_200


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damage_is_refused_by_name_or_read(target: Target) -> None:
    tally = run(target, SEED, range(inputs_of(target, INPUTS)))
    assert [(finding.number, finding.problem) for finding in tally.findings] == []


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_same_seed_gives_the_same_damage(target: Target) -> None:
    inputs = [target.input(SEED, number) for number in range(20)]
    assert [target.input(SEED, number) for number in range(20)] == inputs
    assert len(set(inputs)) > 10
