"""No token of a payload survives, wherever OCPP has one."""

from voltgate.csms.ledger.pseudonyms import SIZE, Pseudonyms

HIDING = Pseudonyms(b"key")


def test_every_token_of_a_payload_is_hidden_and_nothing_else() -> None:
    payload = {
        "idTag": "A",
        "idTagInfo": {"parentIdTag": "B", "status": "Accepted"},
        "idToken": {"idToken": "C", "type": "ISO14443", "additionalInfo": [{"additionalIdToken": "D"}]},
        "groupIdToken": {"idToken": "E", "type": "Central"},
    }
    assert HIDING.hide(payload) == {
        "idTag": HIDING.of("A"),
        "idTagInfo": {"parentIdTag": HIDING.of("B"), "status": "Accepted"},
        "idToken": {
            "idToken": HIDING.of("C"),
            "type": "ISO14443",
            "additionalInfo": [{"additionalIdToken": HIDING.of("D")}],
        },
        "groupIdToken": {"idToken": HIDING.of("E"), "type": "Central"},
    }


def test_a_pseudonym_needs_the_key_and_ignores_case() -> None:
    assert HIDING.of("Cafe") == HIDING.of("CAFE") != Pseudonyms(b"another").of("CAFE")
    assert len(HIDING.of("")) == SIZE


def test_payloads_that_can_hold_a_token_are_recognised() -> None:
    for body in (b'{"idTag":1}', b'{"parentIdTag":1}', b'{"idToken":{}}', b'{"groupIdToken":1}'):
        assert HIDING.may_hold(body)
    assert not HIDING.may_hold(b'{"meterValue":[]}')
