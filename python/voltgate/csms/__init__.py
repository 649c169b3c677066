"""The CSMS: sessions, money, uptime, alerts and a console, on the facts that gateways put on NATS.

It is a NATS client like any other and imports nothing of ``gateway/``.
"""
