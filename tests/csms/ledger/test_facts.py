"""Messages of the streams become facts, and tokens end there."""

from datetime import UTC, datetime

import pytest

from voltgate.csms.ledger import facts
from voltgate.csms.ledger.facts import Message, UnreadableError
from voltgate.csms.ledger.pseudonyms import Pseudonyms

HIDING = Pseudonyms(b"key")
HEADERS = {"ce-id": "s/1", "ce-time": "2026-05-01T10:00:00.123Z", "ocpp-key": "A/StartTransaction/1"}


def message(subject: str, body: bytes, **headers: str) -> Message:
    return Message("OCPP_TX", 7, subject, HEADERS | headers, body, 0.0)


def test_a_fact_has_the_identity_in_plain_and_the_pseudonym_of_its_token() -> None:
    fact = facts.decoded(
        message("ocpp.tx.v16.StartTransaction.RDAM=201=2E2=2A", b'{"idTag":"CAFE"}', **{"Nats-Msg-Id": "m"}),
        HIDING,
    )
    assert (fact.id, fact.charger, fact.version, fact.action) == (
        "m", "RDAM 1.2*", "ocpp1.6", "StartTransaction",
    )  # fmt: skip
    assert fact.at == datetime(2026, 5, 1, 10, 0, 0, 123_000, UTC)
    assert fact.body == {"idTag": HIDING.of("cafe")}


def test_without_nats_msg_id_a_fact_is_known_by_its_ce_id() -> None:
    assert facts.decoded(message("ocpp.event.v201.StatusNotification.A", b"{}"), HIDING).id == "s/1"


def test_a_link_is_a_fact_of_its_own() -> None:
    fact = facts.decoded(message("ops.link.A", b'{"state":"up"}'), HIDING)
    assert (fact.action, fact.version, fact.charger) == ("link", "", "A")


@pytest.mark.parametrize(
    ("subject", "body"),
    [("ocpp.tx.v16.MeterValues.A", b"[]"), ("ocpp.tx.v16.MeterValues.A", b"{"), ("ocpp.tx.A", b"{}")],
)
def test_what_is_not_a_fact_is_refused(subject: str, body: bytes) -> None:
    with pytest.raises(UnreadableError):
        facts.decoded(message(subject, body), HIDING)


@pytest.mark.parametrize("identity", ["A", "RDAM 1.2*", "é%", "a=b", "_-"])
def test_a_token_leads_back_to_its_identity(identity: str) -> None:
    assert facts.identity(facts.token(identity)) == identity
    assert set(facts.token(identity)).isdisjoint(" .*>%")
