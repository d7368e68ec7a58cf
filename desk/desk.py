"""What each key does: the rules of the desk, without its page."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from desk.items import merged
from desk.journal import Action, Journal
from desk.learning_thread import Learner
from desk.order import LEAST_LABELS_TO_TEACH, Selection, in_order
from desk.store import LabelStore, NotStored
from osusume.items import Item


class UnknownItem(LookupError):
    """Raised for an item that is neither to be labelled nor labelled already."""


@dataclass(frozen=True, slots=True)
class Place:
    """The owner's place in a view: the current work (None at the end) and how many are left, this one included."""

    item: Item | None
    left: int


class Desk:
    """Items, their labels and the owner's actions; safe to use from several threads.

    The caller gives each action an id: an action with a known id is not done again.
    """

    def __init__(self, items: Sequence[Item], store: LabelStore, journal: Journal, learner: Learner) -> None:
        self.items = {item.item_id: item for item in items}
        self.store = store
        self.learner = learner
        self._journal = journal
        self._lock = threading.Lock()
        journal.forget_all_but(store.marks)
        learner.tell(self.labels())

    def labels(self) -> dict[str, bool]:
        """Return whether each labelled item is liked, by id, oldest label first."""
        verdicts = {item_id: mark["is_interested"] for item_id, mark in self.store.marks.items()}
        return {item_id: verdict == 1 for item_id, verdict in verdicts.items() if verdict is not None}

    def all_items(self) -> list[Item]:
        """Return the items to label and the labelled ones."""
        return merged([*self.store.items.values(), *self.items.values()])

    def label(self, action_id: str, item_id: str, *, is_interested: bool) -> None:
        """Store a label, or confirm the same one. Raises `UnknownItem`, `NotStored`, `sqlite3.Error`."""
        with self._lock:
            if self._is_done(action_id):
                return
            item = self._item(item_id)
            before = self.store.look(item)
            if before is not None and before["is_interested"] == is_interested:
                self._journal.note(Action(action_id, "kept", item_id))
                return
            after = self.store.new_mark(is_interested=is_interested)
            # The journal first: a crash in between leaves an action without a label, which the next start drops.
            # The other order would leave a label that the page's retry takes for someone else's.
            self._journal.note(Action(action_id, "labelled", item_id, before, after))
            try:
                self.store.replace(item, after)
            except NotStored:
                self._journal.forget_all_but(self.store.marks)
                raise
            self.learner.tell(self.labels())

    def skip(self, action_id: str, item_id: str) -> None:
        """Leave a work for later. Raises `UnknownItem`, `sqlite3.Error`."""
        with self._lock:
            if not self._is_done(action_id):
                self._item(item_id)
                self._journal.note(Action(action_id, "skipped", item_id))

    def undo(self, action_id: str) -> None:
        """Undo an action if it is the last one in effect; ignore any other. Raises `NotStored`, `sqlite3.Error`."""
        with self._lock:
            action = self.last_action
            if action is None or action.action_id != action_id:
                return
            if action.did == "labelled" and self.store.look(self._item(action.item_id)) == action.after:
                self.store.replace(self._item(action.item_id), action.before)
                self.learner.tell(self.labels())
            self._journal.take_back(action)

    @property
    def last_action(self) -> Action | None:
        """The last action in effect."""
        return next(reversed(self._journal.actions.values()), None)

    @property
    def unlabelled(self) -> int:
        """The number of items to label that have no label yet."""
        return len(self.items.keys() - self.store.marks.keys())

    @property
    def skipped(self) -> list[str]:
        """The ids of the works left for later, in the order in which they were left."""
        last = {action.item_id: action.did for action in self._in_turn()}
        return [item_id for item_id, did in last.items() if did == "skipped"]

    def place(self, view: Selection) -> Place:
        """Return the owner's place in a view.

        Works whose action was just undone come first, works left for later last.
        """
        with self._lock:
            lesson, labelled = self.learner.lesson, self.store.marks
            if view.mode == "doubtful":
                looked_at = {action.item_id for action in self._in_turn() if action.did == "kept" or action.before}
                order = lesson.doubtful if lesson else []
                pool = {item_id for item_id in order if item_id in labelled and item_id not in looked_at}
                pool |= {item_id for item_id in self._journal.returned if item_id in labelled}
            else:
                teaches = view.mode == "teaching" and lesson and len(labelled) >= LEAST_LABELS_TO_TEACH
                order = [*lesson.teaching, *self.items] if lesson and teaches else list(self.items)
                pool = {item_id for item_id in self.items if item_id not in labelled}
            pool = {item_id for item_id in pool if view.shows(self._item(item_id))}
            ids = in_order(reversed(self._journal.returned), order, last=self.skipped, of=pool)
            return Place(self._item(ids[0]) if ids else None, len(ids))

    def _is_done(self, action_id: str) -> bool:
        return action_id in self._journal.actions or action_id in self._journal.undone

    def _in_turn(self) -> list[Action]:
        """Return the last action of each item, oldest first."""
        last: dict[str, Action] = {}
        for action in self._journal.actions.values():
            last.pop(action.item_id, None)
            last[action.item_id] = action
        return list(last.values())

    def _item(self, item_id: str) -> Item:
        item = self.items.get(item_id) or self.store.items.get(item_id)
        if item is None:
            raise UnknownItem(item_id)
        return item
