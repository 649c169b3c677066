"""Prices, bills and the documents made of them: values in, values out; no database, no NATS, no clock.

``usage`` is what was used, ``tariff`` (with ``conditions``) what it costs, ``price`` the bill; ``form`` and
``sentence`` are the same tariff for people.
"""
