"""``make strangers``: chargers made of other people's OCPP clients against the real gateway (README.md)."""
