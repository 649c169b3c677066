"""The socket of one charger: listener, upgrade, connection. websockets is imported here only."""
