"""The notifier: a snapshot -> new items in the ledger, the recommended and a few explored ones in Slack."""
