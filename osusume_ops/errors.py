"""The error of every operation."""


class OpsError(Exception):
    """Raised when an operation cannot be done; the message names what is wrong and the remedy."""
