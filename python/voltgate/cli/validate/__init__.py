"""``voltgate validate``: judges frames, one per line, or those in a charger's log."""
