"""Alerts: conditions of the fold that a person should know of, and the channels that take the messages."""
