"""Each intent in each version: valid by the schemas, and the same bytes for the same id."""

import json
from itertools import product

import pytest

from voltgate import Codec
from voltgate.csms.console.intents import Do, ImpossibleError, Intent, command, start_id

VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


@pytest.mark.parametrize(("do", "version"), list(product(Do, VERSIONS)))
@pytest.mark.parametrize("evse", [None, 0, 2])
def test_every_intent_is_a_valid_command(do: Do, version: str, evse: int | None) -> None:
    intent = Intent(do, evse=evse, transaction="42")
    if do is Do.UNLOCK and not evse:
        with pytest.raises(ImpossibleError, match="evse"):
            command(intent, version, "c")
        return
    made = command(intent, version, "c")
    assert Codec(version).check(made.action, "request", made.payload) is None
    assert made == command(intent, version, "c")


@pytest.mark.parametrize(
    ("intent", "version", "action", "payload"),
    [
        (
            Intent(Do.START, 1, token="AB"), "ocpp1.6",
            "RemoteStartTransaction", {"connectorId": 1, "idTag": "AB"},
        ),
        (
            Intent(Do.START, 1, token="04a2b3c4"), "ocpp2.1",
            "RequestStartTransaction",
            {
                "evseId": 1, "remoteStartId": start_id("c"),
                "idToken": {"idToken": "04a2b3c4", "type": "ISO14443"},
            },
        ),
        (
            Intent(Do.START), "ocpp2.0.1",
            "RequestStartTransaction",
            {"remoteStartId": start_id("c"), "idToken": {"idToken": "OPERATOR", "type": "Central"}},
        ),
        (Intent(Do.STOP, transaction="7"), "ocpp1.6", "RemoteStopTransaction", {"transactionId": 7}),
        (Intent(Do.STOP, transaction="7"), "ocpp2.1", "RequestStopTransaction", {"transactionId": "7"}),
        (Intent(Do.RESET, hard=True), "ocpp1.6", "Reset", {"type": "Hard"}),
        (Intent(Do.RESET, hard=True), "ocpp2.1", "Reset", {"type": "Immediate"}),
        (Intent(Do.RESET), "ocpp2.0.1", "Reset", {"type": "OnIdle"}),
        (Intent(Do.UNLOCK, 2), "ocpp2.1", "UnlockConnector", {"evseId": 2, "connectorId": 1}),
        (Intent(Do.INOPERATIVE), "ocpp1.6", "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
        (
            Intent(Do.OPERATIVE, 2), "ocpp2.1",
            "ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 2}},
        ),
        (
            Intent(Do.REFRESH, 2), "ocpp2.1",
            "TriggerMessage", {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 1}},
        ),
    ],
)  # fmt: skip
def test_payloads(intent: Intent, version: str, action: str, payload: object) -> None:
    made = command(intent, version, "c")
    assert (made.action, json.loads(made.payload)) == (action, payload)


@pytest.mark.parametrize(
    ("intent", "version", "words"),
    [
        (Intent(Do.STOP), "ocpp1.6", "no transaction id yet"),
        (Intent(Do.STOP, transaction="a"), "ocpp1.6", "not a number"),
        (Intent(Do.RESET), "", "not been connected"),
    ],
)
def test_what_is_not_possible(intent: Intent, version: str, words: str) -> None:
    with pytest.raises(ImpossibleError, match=words):
        command(intent, version, "c")
