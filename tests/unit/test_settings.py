from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from osusume.settings import SLACK_API_URL, CrawlerSettings, FeedbackSettings, InvalidSetting, NotifierSettings

CRAWLER = {"BUCKET": "bucket", "CONTACT": "owner@example.com", "SOURCE": "dlsite", "ITEM_LIMIT": "100"}
NOTIFIER = {
    "ITEMS_TABLE": "items",
    "PREDICT_URL": "https://example.com/predict",
    "SLACK_BOT_TOKEN_PARAMETER": "/osusume/slack-bot-token",
    "SLACK_CHANNEL_ID": "C0TEST",
    "THRESHOLD": "",
    "MAX_POSTS": "30",
    "EXPLORED_ITEMS_A_DAY": "3",
    "CLAIM_SECONDS": "60",
}
FEEDBACK = {
    "ITEMS_TABLE": "items",
    "LABELS_TABLE": "labels",
    "SLACK_SIGNING_SECRET_PARAMETER": "/osusume/slack-signing-secret",
    "ALLOWED_SLACK_USERS": "",
    "TIME_ZONE": "Asia/Tokyo",
}
READERS = [
    (CrawlerSettings.from_environment, CRAWLER),
    (NotifierSettings.from_environment, NOTIFIER),
    (FeedbackSettings.from_environment, FEEDBACK),
]
REQUIRED = [
    (read, environment, name)
    for read, environment in READERS
    for name in environment
    if name not in {"THRESHOLD", "ALLOWED_SLACK_USERS"}
]


def test_the_crawlers_environment_becomes_its_settings() -> None:
    assert CrawlerSettings.from_environment(CRAWLER) == CrawlerSettings(
        bucket="bucket", contact="owner@example.com", source="dlsite", item_limit=100, site_address=None
    )


def test_the_notifiers_environment_becomes_its_settings() -> None:
    assert NotifierSettings.from_environment(NOTIFIER) == NotifierSettings(
        items_table="items",
        predict_url="https://example.com/predict",
        slack_bot_token_parameter="/osusume/slack-bot-token",
        slack_channel_id="C0TEST",
        slack_api_url=SLACK_API_URL,
        threshold=None,
        max_posts=30,
        explored_items_a_day=3,
        claim_seconds=60,
    )


def test_the_feedback_functions_environment_becomes_its_settings() -> None:
    assert FeedbackSettings.from_environment(FEEDBACK) == FeedbackSettings(
        items_table="items",
        labels_table="labels",
        slack_signing_secret_parameter="/osusume/slack-signing-secret",
        allowed_users=frozenset(),
        time_zone=ZoneInfo("Asia/Tokyo"),
    )


def test_an_address_on_this_machine_stands_in_for_the_outside_world() -> None:
    notifier = NotifierSettings.from_environment({**NOTIFIER, "SLACK_API_URL": "http://127.0.0.1:1/api/"})
    crawler = CrawlerSettings.from_environment({**CRAWLER, "SITE_ADDRESS": "http://127.0.0.1:2"})
    assert (notifier.slack_api_url, crawler.site_address) == ("http://127.0.0.1:1/api/", "http://127.0.0.1:2")


def test_allowed_users_are_listed_with_commas_and_any_spaces() -> None:
    settings = FeedbackSettings.from_environment({**FEEDBACK, "ALLOWED_SLACK_USERS": " U0ONE,U0TWO , ,"})
    assert settings.allowed_users == {"U0ONE", "U0TWO"}


@pytest.mark.parametrize(("text", "threshold"), [("0", 0.0), ("0.5", 0.5), ("1", 1.0), (" 0.25 ", 0.25)])
def test_a_threshold_is_a_number_from_0_to_1(text: str, threshold: float) -> None:
    assert NotifierSettings.from_environment({**NOTIFIER, "THRESHOLD": text}).threshold == threshold


@pytest.mark.parametrize(("read", "environment", "name"), REQUIRED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("value", [None, "", "  "], ids=["missing", "empty", "blank"])
def test_a_variable_that_is_not_set_is_named(
    read: Callable[[dict[str, str]], object], environment: dict[str, str], name: str, value: str | None
) -> None:
    others = {key: text for key, text in environment.items() if key != name}
    with pytest.raises(InvalidSetting, match=f"no {name}: template.yaml"):
        read(others if value is None else {**others, name: value})


@pytest.mark.parametrize("name", ["MAX_POSTS", "EXPLORED_ITEMS_A_DAY", "CLAIM_SECONDS"])
@pytest.mark.parametrize("value", ["many", "-1", "1.5", "1e3", "1 0", "²"])
def test_a_number_that_makes_no_sense_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be a whole number .*not '{value}'"):
        NotifierSettings.from_environment({**NOTIFIER, name: value})


@pytest.mark.parametrize("name", ["MAX_POSTS", "CLAIM_SECONDS"])
def test_a_number_under_its_least_is_named(name: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be a whole number of at least 1"):
        NotifierSettings.from_environment({**NOTIFIER, name: "0"})


def test_no_item_need_be_explored() -> None:
    assert NotifierSettings.from_environment({**NOTIFIER, "EXPLORED_ITEMS_A_DAY": "0"}).explored_items_a_day == 0


@pytest.mark.parametrize("value", ["high", "-0.1", "1.1", "nan", "inf", "50%"])
def test_a_threshold_that_makes_no_sense_is_named_with_its_value(value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^THRESHOLD must be empty or .*not '{value}'"):
        NotifierSettings.from_environment({**NOTIFIER, "THRESHOLD": value})


@pytest.mark.parametrize("value", ["Mars/Base", "Asia", "../etc/passwd", "/etc/localtime", "東京", "x" * 300])
def test_a_time_zone_that_does_not_exist_is_named_with_its_value(value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^TIME_ZONE must be a time zone such as .*not '{value}'"):
        FeedbackSettings.from_environment({**FEEDBACK, "TIME_ZONE": value})
