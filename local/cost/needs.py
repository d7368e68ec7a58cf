"""What the functions were measured to need, and what a run of another size needs by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from osusume.errors import UserError

Counts = dict[str, float]
Need = dict[str, Counts]
"""Numbers by function (its logical id); `stored` and `sent` hold what concerns all."""

FILE = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement: when and on what it was `made`, and what it found.

    `mornings` are of as many new items as `sizes` says, in rising order, `nights` those that follow; `press` is the
    mean of a press. `starts` is
    what the start of a process takes, by function, `peak_megabytes` the most memory of one, `image_bytes` what the
    image adds to its base, compressed.
    """

    made: dict[str, Any]
    sizes: list[int]
    mornings: list[Need]
    nights: list[Need]
    press: Need
    starts: Need
    peak_megabytes: Counts
    image_bytes: Counts

    def morning(self, items: float) -> Need:
        """Return what a morning of `items` new items needs, by the lines between those that were measured.

        Beyond them the replaced objects grow with the square: the crawl's progress is stored whole after each page.
        """
        need = self._between(self.mornings, items)
        if items > self.sizes[-1]:
            replaced = self.mornings[-1]["stored"]["replaced"]
            need["stored"]["replaced"] = replaced * (items / self.sizes[-1]) ** 2
        return need

    def night(self, items: float) -> Need:
        """Return what the night after `items` new items needs."""
        return self._between(self.nights, items)

    def _between(self, needs: list[Need], items: float) -> Need:
        last = len(self.sizes) - 1
        upper = next((place for place, size in enumerate(self.sizes) if size >= items and place), last)
        low, high = self.sizes[upper - 1], self.sizes[upper]
        return line(needs[upper - 1], needs[upper], (items - low) / (high - low))

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measured:
        """Return the measurement that `value` holds. Raises `UserError` if it is another's."""
        try:
            return cls(**value)
        except TypeError as error:
            raise UserError(
                f"the measurement is not of this version: run 'python -m local cost --measure' ({error})"
            ) from error


def read(path: Path = FILE) -> Measured:
    """Return the stored measurement. Raises `UserError` if there is none."""
    try:
        return Measured.from_json(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: run 'python -m local cost --measure' ({error})") from error


def line(small: Need, large: Need, share: float) -> Need:
    """Return the need at `share` of the way from `small` (0) to `large` (1), and beyond; nothing is below 0.

    >>> line({"A": {"calls": 10}}, {"A": {"calls": 30}}, 2.0)
    {'A': {'calls': 50.0}}
    """
    need: Need = {}
    for name in small.keys() | large.keys():
        low, high = small.get(name, {}), large.get(name, {})
        need[name] = {
            what: max(0.0, low.get(what, 0) + share * (high.get(what, 0) - low.get(what, 0)))
            for what in low.keys() | high.keys()
        }
    return need
