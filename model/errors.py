"""What can go wrong when a model is exported; apart from the exporting, whose modules need torch."""

from __future__ import annotations


class ExportError(Exception):
    """Raised when a model cannot become a graph or a package; the message names the part and the remedy."""
