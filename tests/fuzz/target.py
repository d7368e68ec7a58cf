"""What is fuzzed: a parser, good inputs for it, and the errors by which it may refuse a bad one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """One parser.

    `parse` reads an input and asserts what must hold of whatever is read from it; it may raise `errors` alone.
    `seeds` gives the good inputs, `damage` a strategy for bad ones made of a good one. `share` says how many of a
    hundred inputs it gets.
    """

    name: str
    share: int
    errors: tuple[type[Exception], ...]
    parse: Callable[[bytes], None]
    seeds: Callable[[], Sequence[object]]
    damage: Callable[[Any], SearchStrategy[bytes]]

    def inputs(self) -> SearchStrategy[bytes]:
        """Return a strategy for its damaged inputs."""
        return st.sampled_from(self.seeds()).flatmap(self.damage)
