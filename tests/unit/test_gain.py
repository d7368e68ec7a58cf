"""What an encoder adds is measured against the same head without it, on the same draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.__main__ import main
from model.dataset import write_examples
from model.gain import gains
from model.learning.examples import Example
from model.serving.head import Embeddings
from model.serving.package import ModelPackage
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.errors import UserError
from samples.works import generate_works

STARTER = Path(__file__).parents[2] / "model" / "starter"
EXAMPLES = [Example(work, index % 3 == 0) for index, work in enumerate(generate_works(60, seed=4))]


class Knowing:
    """An encoder that knows the labels, up to some noise."""

    dimensions = 2

    def __init__(self, noise: float) -> None:
        rng = np.random.default_rng(1)
        self._rows = {
            compose(example.item, ORDER, KEYWORDS): [example.is_interested + rng.normal(0, noise), 1.0]
            for example in EXAMPLES
        }

    def embed(self, texts: Sequence[str]) -> Embeddings:
        return np.array([self._rows[text] for text in texts], dtype=np.float32)


def package(encoder: Any) -> ModelPackage:
    starter = ModelPackage.load(STARTER)
    return ModelPackage(replace(starter.card, order=ORDER, keywords=KEYWORDS), encoder, starter.head)


def nothing(_task: str, _share: float) -> None:
    pass


def test_an_encoder_that_knows_the_labels_adds_much_to_labels_by_chance() -> None:
    few, most = gains(package(Knowing(0.2)), EXAMPLES, draws=3, seed=1, advance=nothing)
    assert (few.labels, most.labels) == (20, 48)
    assert min(few.mean, most.mean) > 0.2
    assert np.mean(most.with_encoder) > 0.9
    assert few.standard_error >= 0
    assert len(few.without) == 3


@pytest.mark.parametrize(
    ("examples", "draws", "said"),
    [(EXAMPLES[:24], 2, "it takes 25 labels"), (EXAMPLES[1::3] * 2, 2, "10 of each kind"), (EXAMPLES, 1, "at least 2")],
)
def test_too_few_labels_or_draws_are_refused(examples: Sequence[Example], draws: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        gains(package(Knowing(1.0)), examples, draws=draws, seed=1, advance=nothing)


def test_the_command_prints_a_row_for_each_number_of_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "labels.jsonl"
    write_examples(data, EXAMPLES[:30])
    command = ["gain", "--package", str(STARTER), "--data", str(data), "--draws", "2"]
    assert main(command) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["labels", "20", "24"]
    assert main([*command, "--json"]) == 0
    assert [row["labels"] for row in json.loads(capsys.readouterr().out)["gains"]] == [20, 24]
    assert main([*command[:-1], "1"]) == 1
    assert "error: --draws" in capsys.readouterr().err
