"""The error that every command shows to its user."""

from __future__ import annotations


class UserError(Exception):
    """Raised for what the user can correct; the message names what is wrong and the remedy."""
