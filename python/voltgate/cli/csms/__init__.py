"""``voltgate csms``: the books of a network and their console (docs/csms.md)."""
