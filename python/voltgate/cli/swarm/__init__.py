"""``voltgate swarm``: a load of simulated chargers, and its measurements."""
