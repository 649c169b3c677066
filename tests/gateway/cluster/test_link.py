"""A link fact as it is read back (docs/contract.md 3.6)."""

import orjson
import pytest

from voltgate import _core
from voltgate.gateway.cluster.link import LinkFact
from voltgate.gateway.interfaces import Stored


@pytest.mark.parametrize("identity", ["", "x" * 49, "x" * 5000, "a:b"], ids=len)
def test_a_link_of_no_legal_identity_is_not_marked_down(identity: str) -> None:
    """Its ``down`` would go to a subject for which NATS disconnects the gateway, again and again."""
    link = {
        "state": "up", "identity": identity, "version": "v16", "session": "s", "replaces": None,
        "gateway": "ghost-1", "remote": "r", "security_profile": 1, "at": "",
    }  # fmt: skip
    assert LinkFact.parse(_core.token(identity), Stored(1, {}, orjson.dumps(link))) is None
    assert LinkFact.parse("CP=201", Stored(1, {}, orjson.dumps(link))) is not None
