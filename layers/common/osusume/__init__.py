"""Shared by the functions: items, snapshots, ledger, labels, heads, messages, settings."""
