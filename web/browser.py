"""Opening a page of this machine in its owner's browser."""

from __future__ import annotations

import os
import sys
import webbrowser


def open_in_browser(address: str) -> bool:
    """Open `address` in the owner's browser where someone sits before a terminal and a screen; tell whether it was."""
    is_watched = sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")
    # without a screen Python would take a browser that runs in the terminal
    has_screen = sys.platform in {"darwin", "win32"} or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return is_watched and has_screen and webbrowser.open(address)
