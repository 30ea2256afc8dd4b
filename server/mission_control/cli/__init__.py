"""The command `mission-control`: starts the server, and is its client."""
