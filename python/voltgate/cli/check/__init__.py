"""``voltgate check``: the preconditions of ``serve``."""
