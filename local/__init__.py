"""The project on one machine: the cloud, the shop and Slack, each played by a local stand-in."""
