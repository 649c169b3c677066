"""The gateway: websockets of chargers on one side, NATS on the other (ARCHITECTURE.md has the map)."""
