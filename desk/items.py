"""The works to label, from the crawler's snapshots and from training files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from model.dataset import read_examples
from osusume.errors import UserError
from osusume.items import Item
from osusume.snapshots import InvalidSnapshot, Snapshot


def read_items(paths: Sequence[Path]) -> list[Item]:
    """Return the works of all files in order, each once (see `merged`).

    A file whose name ends in `.jsonl` is a training file, any other a snapshot. Raises `UserError` that names the file
    and the place if it is invalid, and if the files hold no work at all.
    """
    items = merged(item for path in paths for item in _read(path))
    if not items:
        raise UserError(f"there is no work to label in {', '.join(map(str, paths))}: name a snapshot with items")
    return items


def merged(items: Iterable[Item]) -> list[Item]:
    """Return each work once, at its first position and with its last description."""
    return list({item.item_id: item for item in items}.values())


def _read(path: Path) -> list[Item]:
    if path.suffix == ".jsonl":
        return [example.item for example in read_examples(path)]
    try:
        value = json.loads(path.read_bytes())
        return Snapshot.from_json(value).items
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except InvalidSnapshot as error:
        raise UserError(f"{path} is not a snapshot: {error}") from error
    except (ValueError, RecursionError) as error:  # invalid JSON, with line and column, or invalid UTF-8
        raise UserError(f"{path} is not JSON ({error}): a training file's name must end in .jsonl") from error
