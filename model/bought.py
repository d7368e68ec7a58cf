"""Reads a list of bought works: a table, JSON Lines, or a title on each line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from model.training_rows import read_rows, read_text
from osusume.errors import UserError
from osusume.sanitize import normal
from osusume.wishes import Bought

_COLUMNS = {
    "title": ("title", "作品名", "タイトル", "商品名", "name"),
    "circle": ("circle", "サークル", "サークル名", "maker", "ブランド"),
    "series": ("series", "シリーズ", "シリーズ名"),
    "voice_actors": ("voice_actors", "声優", "cv"),
    "genres": ("genres", "ジャンル", "tags", "タグ"),
}
_OF_A_LIST = "/、,"


def read_bought(path: Path) -> list[Bought]:
    """Return the bought works in a file, without those that have no title.

    A table has a line of names: a column of titles, and perhaps circle, series, voice actors and genres, in English or
    Japanese; several values in one cell are separated by `/`, `、` or a comma. JSON Lines hold items, or objects with
    an `item`. Any other file has a title on each line. Raises `UserError` if it cannot be read or has no title.
    """
    text = read_text(path).lstrip("\ufeff")
    bought = _of_json(path) if text.lstrip()[:1] in ("{", "[") else _of_table(text)
    found = [each for each in bought if normal(each.title)]
    if not found:
        raise UserError(f"{path} names no work: it needs a column 'title' or '作品名', or a title on each line")
    return found


def _of_table(text: str) -> list[Bought]:
    first = text.split("\n", 1)[0]
    rows = list(csv.reader(io.StringIO(text), delimiter="\t" if "\t" in first else ","))
    names = [normal(name) for name in rows[0]] if rows else []
    places = {
        column: next((names.index(normal(each)) for each in known if normal(each) in names), None)
        for column, known in _COLUMNS.items()
    }
    title = places.pop("title")
    if title is None:
        return [Bought(line.strip()) for line in text.splitlines()]
    return [
        Bought(
            row[title],
            {name: _values(row[place]) for name, place in places.items() if place is not None and place < len(row)},
        )
        for row in rows[1:]
        if title < len(row)
    ]


def _values(cell: str) -> list[str]:
    for separator in _OF_A_LIST[1:]:
        cell = cell.replace(separator, _OF_A_LIST[0])
    return [value.strip() for value in cell.split(_OF_A_LIST[0]) if value.strip()]


def _of_json(path: Path) -> list[Bought]:
    bought = []
    for row in read_rows(path):
        value = row.value.get("item", row.value) if isinstance(row.value, Mapping) else row.value
        if isinstance(value, str):
            bought.append(Bought(value))
        elif isinstance(value, Mapping) and isinstance(value.get("title"), str):
            fields = value.get("attributes")
            known = fields.items() if isinstance(fields, Mapping) else ()
            lists = {str(name): [str(each) for each in values] for name, values in known if isinstance(values, list)}
            bought.append(Bought(value["title"], lists))
        else:
            raise UserError(f"{path}, line {row.line}: this is neither a title nor an item with one")
    return bought
