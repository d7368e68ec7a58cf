"""The feedback function: a press of a button in Slack -> a label."""
