"""The logger and the metrics of every function: POWERTOOLS_SERVICE_NAME names the function, STACK the stack.

A snapshot's key is the id that runs through all functions. `follow` puts it into every later line of an invocation,
under one name, so that a search for the key finds what became of a crawl's works.
"""

import os
from collections.abc import Sequence

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics(namespace="Osusume")
if os.environ.get("STACK"):
    metrics.set_default_dimensions(stack=os.environ["STACK"])

UNITS = {
    "WorksListed": "Count",
    "PagesFetched": "Count",
    "SummariesPosted": "Count",
    "ItemsNew": "Count",
    "ItemsPosted": "Count",
    "Scores": "None",
    "HeadsPromoted": "Count",
}
"""Every metric of Osusume's own, by its unit in CloudWatch. Ten cost nothing, each further one costs money."""

SNAPSHOT_HEADER = "x-osusume-snapshot"
"""The header of a predict request that carries the id to the classifier."""


def follow(snapshot: str) -> None:
    """Let the lines that this invocation logs from now on, metrics included, name a snapshot; empty names none."""
    if snapshot:
        logger.append_keys(snapshot=snapshot)


def measure(**values: float | Sequence[float]) -> None:
    """Print a line of which CloudWatch makes metrics, named in `UNITS`; a sequence becomes a distribution."""
    if snapshot := logger.get_current_keys().get("snapshot"):
        metrics.add_metadata("snapshot", snapshot)
    for name, value in values.items():
        for each in value if isinstance(value, Sequence) else [value]:
            metrics.add_metric(name, UNITS[name], each)
    metrics.flush_metrics()
