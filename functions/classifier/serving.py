"""Which package scores: the image's own, with the promoted head where one was trained since for its encoder."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from model.serving.package import ModelPackage
from osusume.errors import UserError
from osusume.heads import Heads
from osusume.observability import logger, metrics

LOOK_SECONDS = 300
"""Requests may use the previous head for this long after a promotion or a roll-back."""

_UNKNOWN = "unknown"


class Serving:
    """The package to score with. `heads` is None where only the package's own head is to be used."""

    def __init__(self, own: ModelPackage, heads: Heads | None, clock: Callable[[], float]) -> None:
        """Begin with the package's own head; `clock` gives seconds."""
        self._own, self._heads, self._clock = own, heads, clock
        self._package = own
        self._tag: str | None = _UNKNOWN
        self._look_at = clock()

    def package(self) -> ModelPackage:
        """Return the package, after a look for another head every few minutes.

        A head that cannot be used, or that S3 does not tell of, is an error in the log and a metric with an alarm, and
        no reason to stop scoring: then the package's own head is used, or the one that was in use so far.
        """
        if self._heads is not None and self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_SECONDS
            try:
                self._look(self._heads)
            except UserError as error:
                self._package, self._tag = self._own, _UNKNOWN
                self._tell(error)
            except (BotoCoreError, ClientError) as error:
                self._tell(error)
        return self._package

    def _look(self, heads: Heads) -> None:
        tag = heads.pointer_tag()
        if tag == self._tag:
            return
        stored = None if tag is None else heads.promoted()
        self._package = self._own if stored is None else self._own.with_head(stored.card, stored.head)
        self._tag = tag
        logger.info("head in use", model_version=self._package.version, promoted=stored is not None)

    def _tell(self, error: Exception) -> None:
        logger.error("the promoted head cannot be used", reason=str(error), model_version=self._package.version)
        metrics.add_metric("HeadsUnusable", "Count", 1)
        metrics.flush_metrics()
