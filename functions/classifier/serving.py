"""Chooses the package that scores: the image's own, or its encoder with the head promoted last."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from model.serving.package import ModelPackage
from osusume.errors import UserError
from osusume.heads import Heads
from osusume.observability import logger

LOOK_SECONDS = 300
"""Requests may use the previous head for this long after a promotion or a roll-back."""

_UNKNOWN = "unknown"


class Serving:
    """The package to score with. If `heads` is None, only the package's own head is used."""

    def __init__(self, own: ModelPackage, heads: Heads | None, clock: Callable[[], float]) -> None:
        """Start with the package's own head; `clock` returns seconds."""
        self._own, self._heads, self._clock = own, heads, clock
        self._package = own
        self._tag: str | None = _UNKNOWN
        self._look_at = clock()
        self.head_unusable = False

    def package(self) -> ModelPackage:
        """Return the package; looks for another head every few minutes.

        A head that cannot be used leaves the package's own head in use; if S3 fails, the current head stays. Then
        `head_unusable` is true, until a look succeeds.
        """
        if self._heads is not None and self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_SECONDS
            try:
                self._look(self._heads)
                self.head_unusable = False
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
        self.head_unusable = True
