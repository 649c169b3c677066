"""Charger records, their passwords, and security facts about refused logins."""
