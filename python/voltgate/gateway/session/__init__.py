"""One conversation with a charger: its CALLs, the commands sent to it. No socket, no NATS, no clock."""
