"""Shared by the pages on this machine: the guard, and opening a browser."""
