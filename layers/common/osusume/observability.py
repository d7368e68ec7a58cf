"""The logger and the metrics of every function: POWERTOOLS_SERVICE_NAME names the function, STACK the stack."""

import os

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics(namespace="Osusume")
if os.environ.get("STACK"):
    metrics.set_default_dimensions(stack=os.environ["STACK"])
