"""What is fuzzed: a parser, good inputs for it, and the errors by which it may refuse a bad one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random


@dataclass(frozen=True)
class Target:
    """One parser.

    `parse` reads an input and asserts what must hold of whatever is read from it; it may raise `errors` alone.
    `seeds` gives the good inputs, `damage` makes bad ones of them. `share` says how many of a hundred inputs it gets.
    """

    name: str
    share: int
    errors: tuple[type[Exception], ...]
    parse: Callable[[bytes], None]
    seeds: Callable[[], Sequence[object]]
    damage: Callable[[Random, object], bytes]

    @cached_property
    def _seeds(self) -> Sequence[object]:
        return self.seeds()

    def input(self, seed: int, number: int) -> bytes:
        """Return the input of this number, the same for the same `seed`."""
        random = Random(f"{seed} {self.name} {number}")  # noqa: S311  # repeatable damage, no secret
        return self.damage(random, random.choice(self._seeds))
