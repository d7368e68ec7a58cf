"""What the environment tells the classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PACKAGE = Path(__file__).resolve().parents[1] / "package"
"""Where the image keeps its model package: beside the `classifier` folder."""


class InvalidSetting(ValueError):
    """Raised when an environment variable holds a value that means nothing; the message names both."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`package` is the folder of the model package; `use_made_up_taste` lets a package score that no owner taught."""

    package: Path
    use_made_up_taste: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings of `MODEL_PACKAGE` and `MADE_UP_TASTE`; raises `InvalidSetting`."""
        made_up_taste = environment.get("MADE_UP_TASTE") or "ignore"
        if made_up_taste not in ("use", "ignore"):
            raise InvalidSetting(f'MADE_UP_TASTE must be "use" or "ignore", not {made_up_taste!r:.40}')
        return cls(
            package=Path(environment.get("MODEL_PACKAGE") or DEFAULT_PACKAGE),
            use_made_up_taste=made_up_taste == "use",
        )
