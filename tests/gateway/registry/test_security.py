"""Security facts: whose subject a refusal is counted under."""

import json

from voltgate.gateway.clock import Wheel
from voltgate.gateway.registry.record import Known, Record
from voltgate.gateway.registry.security import Security
from world import Bus as Memory


def test_the_identity_that_is_a_dash_does_not_share_the_token_of_strangers() -> None:
    now = 100.0
    bus = Memory(Wheel(lambda: now, lambda: now))
    security = Security(bus, bus.clock, "ocpp", "gw")
    security.note("wrong_password", None, "6.6.6.6:1")
    security.note("wrong_password", Known("-", "-", Record(enabled=True)), "1.1.1.1:1")
    assert [(one.subject, json.loads(one.data)["identity"]) for one in bus.live] == [
        ("ocpp.security.wrong_password.-", None),
        ("ocpp.security.wrong_password.=2D", "-"),
    ]
