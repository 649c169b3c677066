"""``voltgate check``: whether ``serve`` will run, and what to do if not."""
