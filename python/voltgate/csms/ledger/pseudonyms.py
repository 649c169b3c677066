"""Pseudonyms of tokens: what the CSMS stores in place of an idTag or idToken.

A token leads to a person. The plain one is in ``OPS_PEOPLE`` alone, where it can be deleted; every other
stream, the database and the logs have its keyed hash. Without the entry nobody can lead it back, and an
erased person has left no trace.
"""

import hashlib
import hmac
from typing import Any

SIZE = 32  # characters of a pseudonym
TOKEN_NAMES = frozenset({"idTag", "parentIdTag", "idToken", "additionalIdToken"})


class Pseudonyms:
    """Of one installation, by its key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, token: str) -> str:
        """Tokens are compared without case, as OCPP does."""
        return hmac.new(self._key, token.strip().lower().encode(), hashlib.sha256).hexdigest()[:SIZE]

    def hide(self, value: Any) -> Any:
        """A payload with pseudonyms in place of its tokens, wherever in it they are."""
        if isinstance(value, dict):
            return {
                name: self.of(one) if name in TOKEN_NAMES and isinstance(one, str) else self.hide(one)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self.hide(one) for one in value]
        return value

    @staticmethod
    def may_hold(body: bytes) -> bool:
        """Whether a payload can hold a token: most do not, and are not searched."""
        if b"dT" not in body:  # of all four: one search instead of four
            return False
        return b"idTag" in body or b"IdTag" in body or b"idToken" in body or b"IdToken" in body
