"""The fault-injection suite: chargers write down what was answered, a verifier reads back what is stored.

`book` is what is written down, `crowd` the chargers, `commander` a backend that commands them, `setups` the
real processes, `catalogue` (`kills`, `cuts`) what happens to them, `verdict` reads the streams back, `run` is
one set-up from start to end, `short` the short form.
"""
