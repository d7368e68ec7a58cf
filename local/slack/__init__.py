"""A stand-in for Slack: the Web API methods this project calls, over HTTP, and a channel whose buttons work."""

from local.slack.channel import Message
from local.slack.interactions import signed_interaction
from local.slack.server import serve_slack
from local.slack.stand_in import Call, FailedPress, Slack, duplicate_posts
from local.slack.text import as_text

__all__ = [
    "Call",
    "FailedPress",
    "Message",
    "Slack",
    "as_text",
    "duplicate_posts",
    "serve_slack",
    "signed_interaction",
]
