"""``voltgate serve`` and ``voltgate backend``."""
