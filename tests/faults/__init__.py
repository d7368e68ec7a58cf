"""The fault harness: breaks the one-machine run in every way it knows and counts what was lost or done twice."""
