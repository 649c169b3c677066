"""The socket of one charger: listener, upgrade, connection. The only importer of websockets."""
