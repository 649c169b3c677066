"""The reference CSMS: sessions, money, uptime and alerts from the facts on NATS (docs/csms.md)."""
