"""Learning while the owner labels: a thread that computes a new lesson every few labels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from desk.order import LEAST_LABELS_TO_TEACH
from osusume.items import Item

if TYPE_CHECKING:
    from desk.active_learning import Course, Lesson

LEAST_LABELS = 20
"""With fewer labels the page does not say how well the taste is learnt."""

EVERY = 10
"""How many labels after the last lesson the next one is computed."""

MOST_ITEMS = 1_500
"""The most works in a lesson, at most half of them labelled: it bounds time and memory."""


class Learner:
    """Computes lessons in a thread of its own, which also imports scikit-learn: labelling never waits for it.

    `lesson` is the latest one, None before the first; `trouble` says why it cannot learn, if so.
    """

    def __init__(self, seed: int = 1) -> None:
        self.lesson: Lesson | None = None
        self.trouble = ""
        self._seed = seed
        self._labels: dict[str, bool] = {}
        self._course: Course | None = None
        self._learnt_from: dict[str, bool] = {}
        self._wanted = threading.Condition()
        self._ends = False
        self._thread: threading.Thread | None = None

    def start(self, items: Callable[[], Sequence[Item]]) -> None:
        """Start learning; `items` returns all works, labelled or not, in their order."""
        self._thread = threading.Thread(target=self._learn, args=[items], name="learner", daemon=True)
        self._thread.start()

    def tell(self, labels: Mapping[str, bool]) -> None:
        """Set the current labels, by item id."""
        with self._wanted:
            self._labels = dict(labels)
            self._wanted.notify()

    def close(self) -> None:
        """End the thread, once it has finished the current lesson."""
        with self._wanted:
            self._ends = True
            self._wanted.notify()
        if self._thread:
            self._thread.join()

    def _learn(self, items: Callable[[], Sequence[Item]]) -> None:
        if find_spec("sklearn") is None:
            self.trouble = "scikit-learn is missing"
            return
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._ends or self._is_due())
                if self._ends:
                    return
                labels = self._labels
            try:
                self._draw(labels, items)
            except Exception as error:
                self.trouble = f"{type(error).__name__}: {error}"
                raise  # the thread ends with a traceback; labelling continues
            self._learnt_from = labels

    def _is_due(self) -> bool:
        if len(self._labels) < LEAST_LABELS:
            return False
        changed = len(dict(self._labels.items() ^ self._learnt_from.items()))
        begins_to_teach = len(self._learnt_from) < LEAST_LABELS_TO_TEACH <= len(self._labels)
        return begins_to_teach or changed >= (EVERY if self.lesson else 1)

    def _draw(self, labels: Mapping[str, bool], items: Callable[[], Sequence[Item]]) -> None:
        from desk.active_learning import Course  # noqa: PLC0415  # scikit-learn takes seconds to import

        latest = dict(list(labels.items())[-MOST_ITEMS // 2 :])
        if self._course is None or not self._course.knows(latest):
            every = items()
            labelled = [item for item in every if item.item_id in latest]
            others = [item for item in every if item.item_id not in labels]
            self._course = Course([*labelled, *others][:MOST_ITEMS])
        self.lesson = self._course.lesson(latest, self._seed) or self.lesson
