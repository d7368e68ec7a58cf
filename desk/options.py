"""Shared by the commands that bring labels in: options of the command line, and the check for Flask."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from osusume.errors import UserError


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `desk.page.label` reads."""
    parser.add_argument("--port", type=_port, metavar="N", help="on 127.0.0.1 (default: the previous or a free one)")
    parser.add_argument("--no-browser", action="store_true", help="don't open the page in the browser")


def check_flask() -> None:
    """Raise `UserError` if Flask is not installed."""
    if find_spec("flask") is None:
        raise UserError("flask is not installed: run 'pip install -r requirements/local.txt'")


def time_zone(name: str) -> ZoneInfo:
    """Return the time zone that a command's option names."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{name!r} is not a time zone such as Asia/Tokyo") from error


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("it must be 1 to 65535")
    return number
