"""The environment of each function, read once into one typed object.

template.yaml sets the variables, except `MODEL_PACKAGE`, which the classifier's Dockerfile sets. `local` sets three
more, the addresses of its stand-ins: `AWS_ENDPOINT_URL` (which boto3 reads), `SLACK_API_URL`, `SITE_ADDRESS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SLACK_API_URL = "https://slack.com/api/"


class InvalidSetting(RuntimeError):
    """Raised when an environment variable is missing or invalid; the message names it."""


@dataclass(frozen=True, slots=True)
class CrawlerSettings:
    """The crawler's environment, without the options that its source reads itself.

    `site_address`, if set, is the origin of the site's stand-in.
    """

    bucket: str
    contact: str
    source: str
    item_limit: int
    site_address: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> CrawlerSettings:
        """Return the settings. Raises `InvalidSetting`."""
        return cls(
            bucket=_text(environment, "BUCKET"),
            contact=_text(environment, "CONTACT"),
            source=_text(environment, "SOURCE"),
            item_limit=_whole_number(environment, "ITEM_LIMIT", least=1),
            site_address=environment.get("SITE_ADDRESS") or None,
        )


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """The notifier's environment. If `threshold` is None, the model's own applies; `stack` is in the messages."""

    items_table: str
    predict_url: str
    slack_bot_token_parameter: str
    slack_channel_id: str
    slack_api_url: str
    threshold: float | None
    max_posts: int
    explored_items_a_day: int
    claim_seconds: float
    time_zone: tzinfo = UTC
    stack: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> NotifierSettings:
        """Return the settings. Raises `InvalidSetting`."""
        return cls(
            items_table=_text(environment, "ITEMS_TABLE"),
            predict_url=_text(environment, "PREDICT_URL"),
            slack_bot_token_parameter=_text(environment, "SLACK_BOT_TOKEN_PARAMETER"),
            slack_channel_id=_text(environment, "SLACK_CHANNEL_ID"),
            slack_api_url=environment.get("SLACK_API_URL") or SLACK_API_URL,
            threshold=_share(environment, "THRESHOLD"),
            max_posts=_whole_number(environment, "MAX_POSTS", least=1),
            explored_items_a_day=_whole_number(environment, "EXPLORED_ITEMS_A_DAY", least=0),
            claim_seconds=_whole_number(environment, "CLAIM_SECONDS", least=1),
            time_zone=_time_zone(environment, "TIME_ZONE") if "TIME_ZONE" in environment else UTC,
            stack=environment.get("STACK", ""),
        )


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """The classifier's environment.

    `use_made_up_taste` allows scores that no owner taught. `bucket` holds promoted heads; without one, as in a
    container started by hand, the package's own head scores.
    """

    model_package: Path
    use_made_up_taste: bool
    bucket: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ClassifierSettings:
        """Return the settings. Raises `InvalidSetting`."""
        made_up_taste = _text(environment, "MADE_UP_TASTE")
        if made_up_taste not in {"use", "ignore"}:
            raise InvalidSetting(f'MADE_UP_TASTE must be "use" or "ignore", not {made_up_taste!r:.40}')
        return cls(
            model_package=Path(_text(environment, "MODEL_PACKAGE")),
            use_made_up_taste=made_up_taste == "use",
            bucket=environment.get("BUCKET") or None,
        )


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """The trainer's environment. `unwanted_cost` is what an unwanted post costs if a like is worth 1."""

    bucket: str
    items_table: str
    labels_table: str
    model_package: Path
    unwanted_cost: float
    time_zone: ZoneInfo

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TrainerSettings:
        """Return the settings. Raises `InvalidSetting`."""
        return cls(
            bucket=_text(environment, "BUCKET"),
            items_table=_text(environment, "ITEMS_TABLE"),
            labels_table=_text(environment, "LABELS_TABLE"),
            model_package=Path(_text(environment, "MODEL_PACKAGE")),
            unwanted_cost=_cost(environment, "UNWANTED_COST"),
            time_zone=_time_zone(environment, "TIME_ZONE"),
        )


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """The feedback function's environment. An empty `allowed_users` allows everyone."""

    items_table: str
    labels_table: str
    slack_signing_secret_parameter: str
    allowed_users: frozenset[str]
    time_zone: ZoneInfo
    stack: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> FeedbackSettings:
        """Return the settings. Raises `InvalidSetting`."""
        users = environment.get("ALLOWED_SLACK_USERS", "").split(",")
        return cls(
            items_table=_text(environment, "ITEMS_TABLE"),
            labels_table=_text(environment, "LABELS_TABLE"),
            slack_signing_secret_parameter=_text(environment, "SLACK_SIGNING_SECRET_PARAMETER"),
            allowed_users=frozenset(user.strip() for user in users if user.strip()),
            time_zone=_time_zone(environment, "TIME_ZONE"),
            stack=environment.get("STACK", ""),
        )


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise InvalidSetting(
            f"the environment has no {name}: template.yaml, or the Dockerfile, gives it to the function"
        )
    return value


def _whole_number(environment: Mapping[str, str], name: str, least: int) -> int:
    value = _text(environment, name)
    if not value.isdecimal() or int(value) < least:
        raise InvalidSetting(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def _share(environment: Mapping[str, str], name: str) -> float | None:
    value = environment.get(name, "").strip()
    if not value:
        return None
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise InvalidSetting(f"{name} must be empty or a number from 0 to 1, not {value!r}")
    return share


def _cost(environment: Mapping[str, str], name: str) -> float:
    value = _text(environment, name)
    try:
        cost = float(value)
    except ValueError:
        cost = -1.0
    if not 0.0 < cost <= 100.0:
        raise InvalidSetting(f"{name} must be a number above 0 and up to 100, not {value!r}")
    return cost


def _time_zone(environment: Mapping[str, str], name: str) -> ZoneInfo:
    value = _text(environment, name)
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidSetting(f"{name} must be a time zone such as Asia/Tokyo, not {value!r}") from None
