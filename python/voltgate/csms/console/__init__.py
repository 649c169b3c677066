"""The console: the HTTP API of the CSMS, its people and their keys (docs/csms/console.md).

Reads the ledger's tables, writes decisions and people to NATS, sends commands through the gateway. Bottom
up: ``problems``, ``roles``, ``bodies``, ``answers``, ``intents`` are values; ``endpoints`` is the one table
of the API; ``people``, ``auth`` say who asks; ``reader`` and ``rows`` read; ``app`` is the whole.
"""
