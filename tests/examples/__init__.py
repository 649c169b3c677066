"""``make examples``: the programs of ``examples/`` against a real gateway and NATS."""
