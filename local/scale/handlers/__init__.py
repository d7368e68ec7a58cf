"""Handlers with which one function serves many owners. They run in the local cloud alone, to be measured."""
