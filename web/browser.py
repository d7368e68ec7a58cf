"""Opening a page of this machine in the owner's browser."""

from __future__ import annotations

import os
import sys
import webbrowser


def open_in_browser(address: str) -> bool:
    """Open `address` in the browser if a person sits at a terminal and a screen; return whether it was opened."""
    is_watched = sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")
    # without a screen Python would start a browser in the terminal
    has_screen = sys.platform in {"darwin", "win32"} or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return is_watched and has_screen and webbrowser.open(address)
