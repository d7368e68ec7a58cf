"""Reads the rows of a training file in any common encoding and with any line ends."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from osusume.errors import UserError

_CONVERT = "save it as JSON Lines in UTF-8, one label on each line"
_PACKED = {
    b"\x1f\x8b": "packed with gzip",
    b"PK\x03\x04": "a zip archive, like Excel's workbooks",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
}
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_LISTS = ("examples", "labels", "rows", "data", "items")


class Row(NamedTuple):
    """One row: the number of its line (of the row, in a JSON array) and its value."""

    line: int
    value: object


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a training file in order; blank lines are skipped.

    A file may be UTF-8, UTF-16 or CP932, have any line ends, and be one JSON array instead of one row on each line.
    Raises `UserError` for a file that cannot be read, is packed or is a table, and for a row that is not JSON.
    """
    lines = re.split(r"\r\n|\n|\r", read_text(path))
    first = next((line.strip() for line in lines if line.strip()), "")
    if first and first[0] not in "[{":
        _refuse_table(path, first)
    return _whole(lines) or list(_each_line(path, lines))


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or CP932. Raises `UserError` if it cannot be read, or is packed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    for mark, name in _PACKED.items():
        if content.startswith(mark):
            raise UserError(f"{path} is {name}: unpack it, and {_CONVERT}")
    return _decoded(path, content)


def is_plain(path: Path) -> bool:
    """Return whether a file is JSON Lines in UTF-8 with line feeds only, so that rows can be appended."""
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return "\r" not in text and all(line[:1] in ("", "{") for line in text.split("\n"))


def _decoded(path: Path, content: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return _strictly(path, content, encoding)
    beginning = content[:2_000]
    if beginning.count(0) > len(beginning) // 4:
        return _strictly(path, content, "utf-16-le" if beginning[1:2] == b"\0" else "utf-16-be")
    try:
        return content.decode()
    except UnicodeDecodeError:
        # A broken byte does not mean CP932, in which hardly any character would be valid UTF-8.
        seen = content.decode("utf-8", "replace")
        understood = sum(character > "\x7f" and character != "\ufffd" for character in seen)
        if understood < seen.count("\ufffd"):
            with suppress(UnicodeDecodeError):
                text = content.decode("cp932")
                if not re.search("[\uf8f0-\uf8f3]", text):  # what Python decodes bytes to that CP932 does not use
                    return text
        return _strictly(path, content, "utf-8")


def _strictly(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: {error}: {_CONVERT}") from error


def _whole(lines: list[str]) -> list[Row]:
    """Return the rows of a file that is one JSON array, or one object with a list of them; otherwise none."""
    try:
        value = json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return []
    if isinstance(value, dict):
        value = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), [value])
    if not isinstance(value, list):
        return []
    return [Row(number, row) for number, row in enumerate(value, 1)]


def _each_line(path: Path, lines: list[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield Row(number, json.loads(line))
        except RecursionError as error:
            raise UserError(f"{path}, line {number}: it is nested too deeply") from error
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}: {_CONVERT}") from error


def _refuse_table(path: Path, first: str) -> None:
    columns = next(csv.reader(io.StringIO(first), delimiter="\t" if "\t" in first else ","), [])
    if {"text", "target"} <= set(columns):
        raise UserError(
            f"{path}, line 1: it is a table of text and target for AutoTrain, which does not name the works: use the"
            " training file that 'python -m model dataset' wrote beside it"
        )
    if len(columns) > 1:
        raise UserError(f"{path}, line 1: it is a table with the columns {', '.join(columns)[:80]}: {_CONVERT}")
