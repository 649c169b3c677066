"""Uptime, attempts and usage: what the fold says about ports rather than about bills."""
