from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the pipeline needs requirements/train.txt")

from model.__main__ import main  # what it measures needs torch


def test_a_quick_bench_measures_every_contender(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "bench.json"
    assert main(["bench", "--quick", "--json", str(written)]) == 0
    figures = json.loads(written.read_text())
    contenders = figures["models"]["quick"]
    assert list(contenders) == ["pipeline", "fp32", "int8"]
    assert contenders["fp32"]["largest_difference"] < 1e-5
    assert contenders["int8"]["size"] < contenders["pipeline"]["size"]
    assert contenders["int8"]["load"] < contenders["pipeline"]["load"]
    for one in (*contenders.values(), figures["packages"]["starter"]):
        assert min(one["rates"].values()) > 0
        assert one["memory"] > 1e6
    assert [len(one["rounds"]) for one in contenders.values()] == [1, 1, 1]
    assert "int8 : pipeline" in capsys.readouterr().out
