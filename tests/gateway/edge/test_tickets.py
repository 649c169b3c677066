"""Keys of session tickets (what they are good for: test_tls.py)."""

import ssl
import sys

import pytest

from voltgate.gateway.edge import tickets
from voltgate.gateway.edge.tickets import KNOWN, keys, share


def test_a_listener_has_keys_of_its_own() -> None:
    made = {keys(secret, listener) for secret in (b"a" * 32, b"b" * 32) for listener in ("a:1", "a:2")}
    assert ({len(one) for one in made}, len(made)) == ({80}, 4)
    assert keys(b"", "a:1") == b"", "of none there are none: the context makes its own"


def test_this_python_takes_them() -> None:
    """A release that is not in KNOWN: look whether a context still begins with the pointer, then add it."""
    assert sys.version_info[:2] in KNOWN
    assert share(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), keys(b"s" * 32, "a:1"))


def test_a_python_that_is_not_known_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "KNOWN", ())
    assert not share(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), keys(b"s" * 32, "a:1"))
