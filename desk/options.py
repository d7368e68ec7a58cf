"""Shared by the commands that open the desk's page: its options, and the check for Flask."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from osusume.errors import UserError


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `desk.page.label` reads."""
    parser.add_argument(
        "--port", type=_port, metavar="N", help="the port on 127.0.0.1 (default: the previous one, or a free one)"
    )
    parser.add_argument("--no-browser", action="store_true", help="don't open the page in the browser")


def check_flask() -> None:
    """Raise `UserError` if Flask is not installed."""
    if find_spec("flask") is None:
        raise UserError("flask is not installed: run 'pip install -r requirements/local.txt'")


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("it must be 1 to 65535")
    return number
