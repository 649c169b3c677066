"""``voltgate tail``: live and replayed messages, one line each."""
