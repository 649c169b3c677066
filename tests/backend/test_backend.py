"""The reference backend: content by table without NATS, then its manners on a real nats-server."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import orjson
import pytest
from nats.aio.client import Client

from answering import ask, backend_on
from voltgate import Codec, _core
from voltgate.backend import Backend, Names, Rules, Tokens, run
from voltgate.backend.answers import Question, UnanswerableError
from voltgate.backend.service import subjects
from voltgate.schemas import SUBPROTOCOLS

ID_TOKEN = {"idToken": {"idToken": "04A2", "type": "ISO14443"}}
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "0a", "issuerKeyHash": "0b", "serialNumber": "01"}
# What a backend must be asked with; every other answer depends on nothing in the request.
REQUESTS: dict[str, dict[str, Any]] = {
    "StartTransaction": {
        "connectorId": 1,
        "idTag": "04A2",
        "meterStart": 0,
        "timestamp": "2026-01-01T00:00:00Z",
    },
    "StopTransaction": {
        "transactionId": 1,
        "idTag": "04A2",
        "meterStop": 1,
        "timestamp": "2026-01-01T00:00:00Z",
    },
    "DataTransfer": {"vendorId": "voltgate", "data": "as it came"},
    "GetCertificateChainStatus": {
        "certificateStatusRequests": [
            {"certificateHashData": HASH, "source": "OCSP", "urls": ["https://ca.example"]}
        ]
    },
    "VatNumberValidation": {"vatNumber": "NL123456789B01"},
    "TransactionEvent": ID_TOKEN,
}
ASKED = [
    (version, action, answer)
    for version in SUBPROTOCOLS
    for action, sender, _, answer in _core.actions(version)
    if sender != "csms" and answer != "none"
]


async def always_7(key: str) -> int:
    return 7


def request_of(version: str, action: str) -> dict[str, Any]:
    if action == "Authorize":
        return {"idTag": "04A2"} if version == "v16" else ID_TOKEN
    return REQUESTS.get(action, {})


@pytest.mark.parametrize(("version", "action", "answer"), ASKED)
async def test_every_question_gets_an_answer_its_schema_takes(version: str, action: str, answer: str) -> None:
    """Also what the gateway answers by default: its policy may hand any action to a backend."""
    backend = Backend(Tokens(), always_7)
    payload = await backend.answer(Question(version, action, "CP001", "k", request_of(version, action)))
    violation = Codec(SUBPROTOCOLS[version]).check(action, "response", orjson.dumps(payload))
    assert violation is None, (violation.pointer, violation.reason)
    for name in ("currentTime", "nextUpdate"):
        assert name not in payload or payload[name].endswith("Z"), "some chargers read no other zone"


FULL: dict[str, dict[str, Any]] = {
    "v16.Authorize": {"idTag": "04A2"},
    "v16.StartTransaction": REQUESTS["StartTransaction"],
    "v16.StopTransaction": REQUESTS["StopTransaction"],
    "v16.DataTransfer": {"vendorId": "voltgate", "messageId": "m", "data": "d"},
    "v201.DataTransfer": {"vendorId": "voltgate", "data": {"any": "thing"}},
    "v201.Authorize": ID_TOKEN,
    "v201.TransactionEvent": ID_TOKEN
    | {"eventType": "Ended", "seqNo": 1, "transactionInfo": {"transactionId": "t", "chargingState": "Idle"}},
    "v21.GetCertificateChainStatus": REQUESTS["GetCertificateChainStatus"],
    "v21.VatNumberValidation": {"vatNumber": "NL1", "evseId": 1},
}
ODD: list[Any] = [None, "", "x" * 10_000, 0, -1, 1.5, True, [], ["x"] * 10_000, {}, {"idToken": 1}]


def deformed(value: Any) -> Iterator[Any]:
    """``value`` with each of its fields removed, and with each of another type, empty or long."""
    yield from ODD
    if isinstance(value, dict):
        for name, one in value.items():
            yield {key: other for key, other in value.items() if key != name}
            yield from (value | {name: wrong} for wrong in deformed(one))
    elif isinstance(value, list):
        yield from ([wrong] for one in value for wrong in deformed(one))


@pytest.mark.parametrize("what", FULL)
async def test_every_deformed_question_gets_a_sensible_answer(what: str) -> None:
    """A gateway passes on what chargers get wrong: no exception, and no CALLERROR about money."""
    version, action = what.split(".")
    backend, codec = Backend(Tokens(), always_7), Codec(SUBPROTOCOLS[version])
    for wrong in deformed(FULL[what]):
        if not isinstance(wrong, dict):
            continue
        try:
            payload = await backend.answer(Question(version, action, "CP001", "k", wrong))
        except UnanswerableError:
            assert action == "GetCertificateChainStatus", "which certificate is not said"
            continue
        violation = codec.check(action, "response", orjson.dumps(payload))
        assert violation is None, (wrong, violation.pointer, violation.reason)
        token = wrong.get("idToken", wrong.get("idTag"))
        token = token.get("idToken") if isinstance(token, dict) else token if version == "v16" else None
        for info in (payload.get("idTagInfo"), payload.get("idTokenInfo")):
            readable = isinstance(token, str) and 0 < len(token) < 256
            assert info in (None, {"status": "Accepted" if readable else "Invalid"}), wrong


@pytest.mark.parametrize(("version", "action", "answer"), ASKED)
@pytest.mark.parametrize("payload", [{}, {"idToken": None, "idTag": None}, {"customData": []}])
async def test_empty_and_incomplete_questions_are_answered(
    version: str, action: str, answer: str, payload: dict[str, Any]
) -> None:
    backend = Backend(Tokens(), always_7)
    try:
        found = await backend.answer(Question(version, action, "CP001", "k", payload))
    except UnanswerableError:
        assert action == "GetCertificateChainStatus"
    else:
        assert Codec(SUBPROTOCOLS[version]).check(action, "response", orjson.dumps(found)) is None


STATUSES = [
    ("04a2b3c4", "Accepted", "letter case does not matter"),
    ("VISITOR", "Blocked", "the file says so, behind white space"),
    ("OLD", "Expired", "a comment behind the status is no status"),
    ("COMMENTED", "Invalid", "a line that is a comment is no token"),
    ("STRANGER", "Invalid", "who is not in the file may not charge"),
]


@pytest.mark.parametrize(("token", "status", "why"), STATUSES)
def test_the_token_file_decides(tmp_path: Path, token: str, status: str, why: str) -> None:
    file = tmp_path / "tokens.txt"
    file.write_text("# ours\n04A2B3C4\n\nVisitor\tBlocked\nOLD Expired # since May\n#COMMENTED\n")
    assert Tokens(file).status(token) == status, why


GROUPS = [("A", "Accepted", "FLEET"), ("b", "Blocked", "FLEET"), ("C", "Accepted", "")]


@pytest.mark.parametrize(("token", "status", "group"), GROUPS)
async def test_the_token_file_has_groups(tmp_path: Path, token: str, status: str, group: str) -> None:
    """The parent of an idTag in 1.6, a token of type Central in 2.x; also in the answer to a transaction."""
    file = tmp_path / "tokens.txt"
    file.write_text("A Accepted FLEET # ours\nB Blocked FLEET\nC\n")
    backend = Backend(Tokens(file), always_7)
    parent = {"parentIdTag": group} if group else {}
    found = await backend.answer(Question("v16", "Authorize", "CP001", "k", {"idTag": token}))
    assert found == {"idTagInfo": {"status": status, **parent}}
    central = {"groupIdToken": {"idToken": group, "type": "Central"}} if group else {}
    for version in ("v201", "v21"):
        body = {"idToken": {"idToken": token, "type": "ISO14443"}, "eventType": "Ended"}
        for action in ("Authorize", "TransactionEvent"):
            found = await backend.answer(Question(version, action, "CP001", "k", body))
            assert found == {"idTokenInfo": {"status": status, **central}}


def test_a_changed_token_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tokens.txt"
    file.write_text("A\n")
    tokens = Tokens(file)
    assert tokens.status("B") == "Invalid"
    for second, (text, status) in enumerate(
        [("B\n", "Accepted"), ("B Nonsense\n", "Accepted"), ("A\n", "Invalid")]
    ):
        file.write_text(text)
        os.utime(file, (second, second))
        assert tokens.status("B") == status, text
    file.unlink()
    assert tokens.status("A") == "Accepted", "a file that is gone leaves the last good content in force"


def test_a_broken_token_file_stops_the_start_and_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "tokens.txt"
    for line in ("B Maybe", "B Accepted A FLEET"):
        file.write_text(f"A\n{line}\n")
        with pytest.raises(ValueError, match=r"tokens\.txt:2: the status must be one of"):
            Tokens(file)
    with pytest.raises(FileNotFoundError):
        Tokens(tmp_path / "none.txt")


START = orjson.dumps(REQUESTS["StartTransaction"])
WORDS = [
    ("v16.BootNotification", b"{}", None, "a boot is accepted"),
    ("v16.Authorize", b'{"idTag":"x"}', None, "a token is accepted"),
    ("v201.TransactionEvent-Signed", b'{"payload":"e30","protected":"e30"}', None, "a JWS is noted"),
    ("v201.Authorize-Signed", b'{"payload":"e30"}', None, "a JWS that cannot be verified: Invalid"),
    ("v21.FlyToTheMoon", b"{}", "NotImplemented", "no such action"),
    ("v16.Reset", b"{}", "NotImplemented", "a charger does not ask that"),
    ("v16.Authorize", b'{"idTag":', None, "a body that is no JSON"),
    ("v16.Authorize", b"[]", None, "a body that is no object"),
    ("v201.Authorize", b"{}", None, "a required field is missing"),
    ("v21.GetCertificateChainStatus", b"{}", "PropertyConstraintViolation", "there is nothing to answer"),
]


async def test_every_question_gets_one_reply_and_none_ends_the_subscription(nc: Client) -> None:
    async with backend_on(nc, rules=Rules(interval=42)):
        for what, body, error, why in WORDS:
            reply = await ask(nc, what, body, key="CP001/s1/1")
            assert (reply.headers or {}).get("ocpp-error") == error, why
            assert set(reply.headers or {}) <= {"ocpp-error"}, "the question's headers are not echoed"
        boot = orjson.loads((await ask(nc, "v201.BootNotification", b"{}")).data)
        assert (boot["status"], boot["interval"]) == ("Accepted", 42)


async def test_a_key_has_one_transaction_id_across_instances_and_restarts(nats_url: str, nc: Client) -> None:
    other = await nats.connect(nats_url)
    keys = [f"CP=2001/StartTransaction/{n:032x}" for n in range(20)]

    async def ids() -> list[int]:
        replies = await asyncio.gather(*(ask(nc, "v16.StartTransaction", START, key) for key in keys * 3))
        return [orjson.loads(reply.data)["transactionId"] for reply in replies]

    async with backend_on(nc), backend_on(other):
        first = await ids()
    async with backend_on(other):
        again = await ids()
        alone = [orjson.loads((await ask(nc, "v16.StartTransaction", START)).data) for _ in range(2)]
    await other.close()

    assert first == again == first[:20] * 3, "the same key has the same id"
    assert len(set(first)) == 20, "another key has another id"
    assert all(0 < number < 2**31 for number in first)
    assert alone[0]["transactionId"] != alone[1]["transactionId"], (
        "without a key nothing is known to be the same"
    )


async def test_a_backend_that_fails_says_so_and_the_charger_keeps_its_attempts(nc: Client) -> None:
    async with backend_on(nc):
        await nc.jetstream().delete_key_value("ocpp_backend_transactions")
        start = await ask(nc, "v16.StartTransaction", START, "CP001/StartTransaction/0")
        headers = start.headers or {}
        assert (headers["Nats-Service-Error-Code"], start.data) == ("500", b"")
        assert headers["Nats-Service-Error"]
        assert "ocpp-error" not in headers, "the fallback decides, not a CALLERROR"
        assert (await ask(nc, "v16.Authorize", b'{"idTag":"x"}')).data, "others are answered"


async def test_what_is_excepted_is_left_to_another_backend(nc: Client) -> None:
    async with backend_on(nc, excepted=["Authorize", "DataTransfer"]):
        for what in ("v16.Authorize", "v201.Authorize-Signed", "v21.DataTransfer"):
            with pytest.raises(nats.errors.NoRespondersError):
                await ask(nc, what, b"{}")
        assert (await ask(nc, "v16.StatusNotification", b"{}")).data == b"{}"
        assert (await ask(nc, "v201.TransactionEvent-Signed", b"{}")).data == b"{}"
    with pytest.raises(ValueError, match=r"Authorise: .*did you mean Authorize"):
        subjects("ocpprpc", ["Authorise"])


async def test_it_answers_under_its_prefix_and_ends_when_told(nats_url: str, nc: Client) -> None:
    stop, own = asyncio.Event(), await nats.connect(nats_url)
    serving = asyncio.create_task(run(own, stop, names=Names(rpc="my.rpc"), rules=Rules(interval=60)))
    reply = None
    while reply is None:
        try:
            reply = await ask(nc, "v16.BootNotification", b"{}", prefix="my.rpc")
        except nats.errors.NoRespondersError:
            assert not serving.done()
    assert orjson.loads(reply.data)["interval"] == 60
    stop.set()
    await asyncio.wait_for(serving, 5)
    with pytest.raises(nats.errors.NoRespondersError):
        await ask(nc, "v16.BootNotification", b"{}", prefix="my.rpc")
    await own.close()
