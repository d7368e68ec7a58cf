"""The crawler: reads a shop's newest works, politely, and writes one snapshot a day."""
