import json
from pathlib import Path

import pytest

from model.dataset import merge, read_examples, write_csv, write_examples
from model.learning.examples import Example
from osusume.errors import UserError
from samples.works import demo_works

WORKS = demo_works()[:3]
EXAMPLES = [Example(work, number == 1, f"2026-11-2{number} 08:00:00+09:00") for number, work in enumerate(WORKS)]
ROWS = [json.dumps(example.to_json(), ensure_ascii=False) for example in EXAMPLES]


def of_bytes(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp932"])
def test_every_encoding_and_line_end_is_read(tmp_path: Path, encoding: str, end: str) -> None:
    text = end.join([*ROWS[:2], "", ROWS[2]]).replace("〜", "～")
    path = of_bytes(tmp_path, text.encode(encoding, "ignore"))
    assert [example.item.item_id for example in read_examples(path)] == [work.item_id for work in WORKS]
    assert [example.is_interested for example in read_examples(path)] == [False, True, False]
    if encoding != "cp932":
        assert [example.item.title for example in read_examples(path)] == [
            json.loads(row.replace("〜", "～"))["item"]["title"] for row in ROWS
        ]


@pytest.mark.parametrize(
    "text",
    [
        f"[{','.join(ROWS)}]",
        json.dumps([json.loads(row) for row in ROWS], indent=2),
        json.dumps({"labels": [json.loads(row) for row in ROWS]}),
        json.dumps({"version": 1, "examples": [json.loads(row) for row in ROWS]}, indent=1),
    ],
    ids=["array", "indented", "object", "indented object"],
)
def test_one_json_value_with_all_rows_is_read(tmp_path: Path, text: str) -> None:
    assert read_examples(of_bytes(tmp_path, text.encode())) == EXAMPLES


def test_a_broken_row_of_an_array_is_named_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2: it has no item"):
        read_examples(of_bytes(tmp_path, f"[{ROWS[0]}, {{}}]".encode()))


def test_a_single_indented_row_is_read(tmp_path: Path) -> None:
    assert read_examples(of_bytes(tmp_path, json.dumps(json.loads(ROWS[0]), indent=2).encode())) == EXAMPLES[:1]


def test_a_broken_byte_in_utf_8_is_an_error_and_not_another_encoding(tmp_path: Path) -> None:
    lines = [row.encode() for row in ROWS]
    lines[1] = (
        lines[1].replace("）".encode(), b"\xef\xbc", 1) if "）".encode() in lines[1] else lines[1][:-3] + b"\x81\x40}"
    )
    with pytest.raises(UserError, match="line 2"):
        read_examples(of_bytes(tmp_path, b"\n".join(lines)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x1f\x8b\x08\x00", "packed with gzip"),
        (b"PK\x03\x04\x00\x00", "Excel"),
        (b"item_id,title,is_interested\nRJ1,x,1\n", "line 1: it is a table with the columns item_id, title"),
        (b"item_id\ttitle\tis_interested\nRJ1\tx\t1\n", "line 1: it is a table"),
        (b"", "no examples"),
        (b"\n\n", "no examples"),
        (b"[]", "it must be a JSON object"),
    ],
)
def test_another_kind_of_file_is_refused_with_a_remedy(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_examples(of_bytes(tmp_path, content))


def test_the_table_for_autotrain_is_refused_and_the_right_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "autotrain.csv"
    write_csv(path, EXAMPLES)
    with pytest.raises(UserError, match=r"line 1: .*AutoTrain.*'python -m model dataset' wrote"):
        read_examples(path)


@pytest.mark.parametrize("label", ["1", "0", True, False, "true", "yes", "はい", 1.5, None, []])
def test_a_label_in_another_form_is_refused_with_its_line_and_the_right_form(tmp_path: Path, label: object) -> None:
    row = json.dumps({**json.loads(ROWS[0]), "is_interested": label})
    with pytest.raises(UserError, match=r"line 1: is_interested must be 0 or 1.*write 1 for interested"):
        read_examples(of_bytes(tmp_path, row.encode()))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-11-22T06:00:00", "2026-11-22 23:00:00"),
        ("2026-11-22 08:00:00+09:00", "2026-11-22T00:00:00Z"),
        ("2026/11/9", "2026-11-10 00:00:00"),
        ("2026-11-09 23:00:00", "2026/11/10 1:00"),
        ("2026-11-22T20:00:00-05:00", "2026-11-23 11:00:00+09:00"),
        (None, "2026-11-22 08:00:00"),
    ],
)
def test_the_later_label_counts_in_every_form_of_time(earlier: str | None, later: str) -> None:
    old, new = Example(WORKS[0], False, earlier), Example(WORKS[0], True, later)
    assert merge({"a": [old], "b": [new]}).examples == merge({"a": [new], "b": [old]}).examples == [new]


def test_the_desk_does_not_append_to_a_file_in_another_encoding(tmp_path: Path) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    from desk.store import LabelFile  # noqa: PLC0415

    path = of_bytes(tmp_path, "\r\n".join(ROWS).encode("utf-16"))
    with pytest.raises(UserError, match="not JSON Lines in UTF-8"):
        LabelFile(path, lambda: datetime.now(UTC))
    write_examples(path, EXAMPLES)
    assert len(LabelFile(path, lambda: datetime.now(UTC)).marks) == 3
