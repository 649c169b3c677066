"""``voltgate chargers``: the registry of chargers, who is online, kick."""
