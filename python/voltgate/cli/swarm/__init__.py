"""``voltgate swarm``: simulated chargers as a load, and the figures they measure."""
