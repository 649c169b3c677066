"""``voltgate chargers``: the registry of chargers, the list of connected ones, kick."""
