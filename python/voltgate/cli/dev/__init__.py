"""``voltgate dev``: NATS, gateway, backend and simulated chargers on one machine."""
