"""What two or more functions share: items, snapshots, ledger, labels, settings."""
