"""Each intent in each version: valid by the schemas, and the same bytes for the same id."""

import json
from itertools import product

import pytest

from voltgate import Codec
from voltgate.csms.console.intents import Do, ImpossibleError, Intent, command, start_id
from voltgate.schemas import SUBPROTOCOLS


@pytest.mark.parametrize(("do", "version"), list(product(Do, SUBPROTOCOLS)))
@pytest.mark.parametrize("evse", [None, 0, 2])
def test_every_intent_is_a_valid_command(do: Do, version: str, evse: int | None) -> None:
    intent = Intent(do, evse=evse, transaction="42")
    if do is Do.UNLOCK and not evse:
        with pytest.raises(ImpossibleError, match="evse"):
            command(intent, version, "c")
        return
    made = command(intent, version, "c")
    assert Codec(SUBPROTOCOLS[version]).check(made.action, "request", made.payload) is None
    assert made == command(intent, version, "c")


@pytest.mark.parametrize(
    ("intent", "version", "action", "payload"),
    [
        (
            Intent(Do.START, 1, token="AB"), "v16",
            "RemoteStartTransaction", {"connectorId": 1, "idTag": "AB"},
        ),
        (
            Intent(Do.START, 1, token="04a2b3c4"), "v21",
            "RequestStartTransaction",
            {
                "evseId": 1, "remoteStartId": start_id("c"),
                "idToken": {"idToken": "04a2b3c4", "type": "ISO14443"},
            },
        ),
        (
            Intent(Do.START), "v201",
            "RequestStartTransaction",
            {"remoteStartId": start_id("c"), "idToken": {"idToken": "OPERATOR", "type": "Central"}},
        ),
        (Intent(Do.STOP, transaction="7"), "v16", "RemoteStopTransaction", {"transactionId": 7}),
        (Intent(Do.STOP, transaction="7"), "v21", "RequestStopTransaction", {"transactionId": "7"}),
        (Intent(Do.RESET, hard=True), "v16", "Reset", {"type": "Hard"}),
        (Intent(Do.RESET, hard=True), "v21", "Reset", {"type": "Immediate"}),
        (Intent(Do.RESET), "v201", "Reset", {"type": "OnIdle"}),
        (Intent(Do.UNLOCK, 2), "v21", "UnlockConnector", {"evseId": 2, "connectorId": 1}),
        (Intent(Do.INOPERATIVE), "v16", "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
        (
            Intent(Do.OPERATIVE, 2), "v21",
            "ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 2}},
        ),
        (
            Intent(Do.REFRESH, 2), "v21",
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
        (Intent(Do.STOP), "v16", "no transaction id yet"),
        (Intent(Do.STOP, transaction="a"), "v16", "not a number"),
        (Intent(Do.RESET), "", "not been connected"),
    ],
)
def test_what_is_not_possible(intent: Intent, version: str, words: str) -> None:
    with pytest.raises(ImpossibleError, match=words):
        command(intent, version, "c")
