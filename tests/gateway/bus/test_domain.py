"""Subjects of JetStream with and without a domain."""

import pytest

from voltgate.gateway.bus.domain import js_api, within


@pytest.mark.parametrize(
    ("subject", "published"),
    [
        ("$JS.API.STREAM.INFO.OCPP_TX", "$JS.hub.API.STREAM.INFO.OCPP_TX"),
        ("$JS.API.>", "$JS.hub.API.>"),
        ("$KV.ocpp_gateways.a", "$JS.hub.API.$KV.ocpp_gateways.a"),
        ("$JS.ACK.OCPP_TX.c.>", "$JS.ACK.OCPP_TX.c.>"),
        ("ocpp.tx.v16.X.CP", "ocpp.tx.v16.X.CP"),
    ],
)
def test_what_is_published_for_a_domain(subject: str, published: str) -> None:
    assert within("hub", subject) == published
    assert within("", subject) == subject


def test_the_api_of_a_domain() -> None:
    assert (js_api("hub"), js_api("")) == ("$JS.hub.API.", "$JS.API.")
