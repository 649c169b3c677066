"""The reference backend: answers chargers' questions on NATS (docs/contract.md 3.4). Copy and change it.

``answers`` has the answers, ``tokens`` the tokens that may charge, ``service`` the NATS side. Nothing of the
gateway is imported: a backend needs only subjects, headers and JSON.
"""

from voltgate.backend.answers import Backend
from voltgate.backend.service import client_failed, run
from voltgate.backend.tokens import Tokens

__all__ = ["Backend", "Tokens", "client_failed", "run"]
