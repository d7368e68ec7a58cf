"""The logger and the metrics of every function; POWERTOOLS_SERVICE_NAME tells which function it is."""

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics(namespace="Osusume")
