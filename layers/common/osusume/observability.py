"""The logger and the metrics of every function: POWERTOOLS_SERVICE_NAME names the function, STACK the stack.

A snapshot's key is the id that runs through all functions. `follow` puts it into every later line of an invocation,
under one name, so that a search for the key finds what became of a crawl's works.
"""

import os

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics(namespace="Osusume")
if os.environ.get("STACK"):
    metrics.set_default_dimensions(stack=os.environ["STACK"])

SNAPSHOT_HEADER = "x-osusume-snapshot"
"""The header of a predict request that carries the id to the classifier."""


def follow(snapshot: str) -> None:
    """Let the lines that this invocation logs from now on, metrics included, name a snapshot; empty names none."""
    if snapshot:
        logger.append_keys(snapshot=snapshot)
        metrics.add_metadata("snapshot", snapshot)
