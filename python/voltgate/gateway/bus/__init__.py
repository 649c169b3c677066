"""NATS: publishes and their PubAcks, questions, subscriptions, streams. The only importer of nats."""
