"""The ledger: the only writer of the database. State is a fold of facts, decisions and ticks."""
