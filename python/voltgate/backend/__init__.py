"""The reference backend: answers chargers' questions on NATS (CONTRACT 3.4). Copy it and make it yours.

``answers`` says what, ``tokens`` knows who may charge, ``service`` is the NATS side. Nothing of the
gateway is imported: all a backend needs to know is subjects, headers and JSON.
"""

from voltgate.backend.answers import Backend
from voltgate.backend.service import run, serve
from voltgate.backend.tokens import Tokens

__all__ = ["Backend", "Tokens", "run", "serve"]
