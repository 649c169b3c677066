"""Who owns a charger when several gateways share one NATS: links, ownership, liveness."""
