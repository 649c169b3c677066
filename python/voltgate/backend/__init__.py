"""The reference backend: answers chargers' questions on NATS (docs/contract.md 3.4). Copy and change it.

``answers`` has the answers, ``tokens`` and ``people`` the tokens that may charge (of a file, of a CSMS),
``ledger`` asks a CSMS for costs, ``followups`` sends commands after facts, ``service`` is the NATS side.
``rules`` is what else a backend decides by, each rule in a module: ``authority``, ``boots``, ``contracts``,
``prices``, ``revocation``, ``sites``.
Nothing of the gateway is imported: a backend needs only subjects, headers and JSON.
"""

from voltgate.backend.answers import Backend
from voltgate.backend.followups import Names
from voltgate.backend.rules import Options, Rules
from voltgate.backend.service import client_failed, run
from voltgate.backend.tokens import Tokens

__all__ = ["Backend", "Names", "Options", "Rules", "Tokens", "client_failed", "run"]
