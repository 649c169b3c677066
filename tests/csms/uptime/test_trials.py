"""What a fact says about a driver who tries to charge."""

from datetime import UTC, datetime
from typing import Any

import pytest

from voltgate.csms.ledger.facts import Fact
from voltgate.csms.uptime.trials import How, Trial, Verdict, trial

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("action", "body", "found"),
    [
        ("Authorize", {"idTag": "T"}, Trial(0, "T", How.TOKEN)),
        ("Authorize", {"idToken": {"idToken": "T", "type": "ISO14443"}}, Trial(0, "T", How.CARD)),
        ("Authorize", {"idToken": {"idToken": "T", "type": "eMAID"}}, Trial(0, "T", How.CONTRACT)),
        ("AuthorizeResponse", {"idTagInfo": {"status": "Accepted"}}, Verdict(True)),
        ("AuthorizeResponse", {"idTokenInfo": {"status": "Accepted"}}, Verdict(True)),
        ("AuthorizeResponse", {"idTokenInfo": {"status": "Blocked"}}, Verdict(False)),
        ("AuthorizeResponse", {}, Verdict(False)),
        ("RemoteStartTransaction", {"connectorId": 2, "idTag": "T"}, Trial(2, "T", How.REMOTE)),
        ("RemoteStartTransaction", {"idTag": "T"}, Trial(0, "T", How.REMOTE)),
        ("RequestStartTransaction", {"evseId": 1, "idToken": {"idToken": "T", "type": "Central"}},
         Trial(1, "T", How.REMOTE)),
        ("RemoteStartTransactionResponse", {"status": "Accepted"}, Verdict(True)),
        ("RequestStartTransactionResponse", {"status": "Rejected"}, Verdict(False)),
        ("StartTransaction", {"idTag": "T"}, None),
    ],
)  # fmt: skip
def test_trials(action: str, body: dict[str, Any], found: Trial | Verdict | None) -> None:
    assert trial(Fact("S", 1, "id", "s", "key", "A", AT, "", action, body, {})) == found
