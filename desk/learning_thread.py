"""Learning beside the labelling: a thread that draws a new lesson every few labels."""

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
"""With fewer labels nothing is said of how well the taste is learnt."""

EVERY = 10
"""So many labels after the last lesson the next is drawn."""

MOST_ITEMS = 1_500
"""A lesson looks at no more works than this, half of them labelled ones at most: it bounds time and memory."""


class Learner:
    """Draws lessons in a thread of its own, which also imports what learning needs: labels never wait for it.

    `lesson` is the latest, None before the first; `trouble` says what keeps it from learning, if anything does.
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
        """Begin to learn; `items` gives the works that may be labelled or are, in the given order."""
        self._thread = threading.Thread(target=self._learn, args=[items], name="learner", daemon=True)
        self._thread.start()

    def tell(self, labels: Mapping[str, bool]) -> None:
        """Take the labels as they stand now, by item id."""
        with self._wanted:
            self._labels = dict(labels)
            self._wanted.notify()

    def close(self) -> None:
        """End the thread; a lesson being drawn is finished first."""
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
                raise  # the thread ends and says where; labelling goes on
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
