"""The ledger: chargers write down what was answered, a verifier reads back what is stored, faults in between.

`book` is what is written down, `crowd` the chargers, `commander` a backend that commands them, `setups` the
real processes, `faults` what happens to them, `run` one set-up from its start to its verdict.
"""
