"""``voltgate check``: what an operator has to mend before ``serve`` can run well."""
