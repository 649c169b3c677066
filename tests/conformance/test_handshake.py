"""docs/ocpp.md A1 to A4 and A22 to A25, and the cases of E about logins, TLS and subprotocols."""

import asyncio
import json
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from nats.aio.client import Client

from certificates import Authority
from conformance.conftest import BASIC, CLOSING, MUTUAL, OPEN, TLS, Register
from conformance.rules import case, rule
from e2e import secured
from e2e.commanding import commandable, heard_call, send
from e2e.house import Gateway
from e2e.logins import KEY, asked, beats, charger, fast, login
from e2e.secured import CUT_OFF, OPERATOR, Pki
from e2e.strangers import SUBPROTOCOL, Facts, close_code, dial, knock, request, until

OTHER = {"v16": "v201", "v201": "v21", "v21": "v16"}
NEW = b"jihgfedcba9876543210"


def head(identity: str, version: str, path: str = "/ocpp/{}", **headers: str) -> bytes:
    return request(path.format(quote(identity, safe="")), SUBPROTOCOL[version], **headers)


async def status(house: Gateway, door: int, identity: str, version: str, password: bytes = KEY) -> int:
    answer = await asked(house.ports[door], identity, login(identity, password), SUBPROTOCOL[version])
    return answer.status


@rule("A1", "the first subprotocol that is served is selected, whatever version the URL names")
async def test_subprotocol(house: Gateway, known: None, identity: str, version: str) -> None:
    offer = f"ocpp9, {SUBPROTOCOL[version]}, {SUBPROTOCOL[OTHER[version]]}"
    path = f"/{SUBPROTOCOL[OTHER[version]]}/{quote(identity)}"
    async with knock(house.ports[OPEN], request(path, offer)) as answer:
        assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, SUBPROTOCOL[version])


@rule("A2", "an unknown identity gets 404")
async def test_unknown_identity(house: Gateway, identity: str, version: str) -> None:
    async with knock(house.ports[OPEN], head(identity, version)) as answer:
        assert answer.status == 404


@rule("A2", "without an agreed subprotocol: 101 without one, then Close")
async def test_no_subprotocol(house: Gateway, register: Register, identity: str, version: str) -> None:
    await register(versions=[OTHER[version]])
    async with knock(house.ports[CLOSING], head(identity, version)) as answer:
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers
        assert await close_code(answer.reader) == 1002


@rule("A2", "a wrong user name or password gets 401")
async def test_wrong_credentials(house: Gateway, known: None, identity: str, version: str) -> None:
    port, protocol = house.ports[BASIC], SUBPROTOCOL[version]
    wrong = ("", login(identity, b"wrong" * 4), login("another", KEY))
    answers = await asyncio.gather(*(asked(port, identity, one, protocol) for one in wrong))
    assert [answer.status for answer in answers] == [401] * 3
    assert (await asked(port, identity, login(identity, KEY), protocol)).status == 101


@rule("A3", "the identity is the last path segment, decoded once: a space and a pipe are legal")
async def test_identity(house: Gateway, client: Client, identity: str, version: str) -> None:
    name = f"RDAM|{identity}"
    facts = Facts(client, name)
    await facts.listen()
    bucket = await client.jetstream().key_value("ocpp_chargers")
    await bucket.put(facts.token, b'{"enabled":true}')
    async with knock(house.ports[OPEN], head(name, version, "/any/prefix/{}")) as answer:
        assert answer.status == 101
        assert (await facts.link("up"))["identity"] == name


@rule("A3", "an identity with a colon, or of more than 48 characters, gets 400")
async def test_illegal_identity(house: Gateway, version: str) -> None:
    for name in ("a:b", "x" * 49):
        async with knock(house.ports[OPEN], head(name, version)) as answer:
            assert answer.status == 400


@rule("A4", "permessage-deflate is agreed where it is offered, and not needed")
async def test_compression(house: Gateway, known: None, identity: str, version: str) -> None:
    for compression in ("deflate", None):
        async with dial(house.ports[OPEN], identity, version, compression=compression) as one:
            agreed = (
                one.socket.response is not None and "Sec-WebSocket-Extensions" in one.socket.response.headers
            )
            assert agreed == (compression is not None)
            assert await beats(one)


@rule("A22", "a charger has one security profile: another listener refuses it, with the right password too")
async def test_profile(house: Gateway, pki: Pki, register: Register, identity: str, version: str) -> None:
    own = pki.context(pki.chargers.issue("own", identity, OPERATOR))
    options = {"subprotocols": [SUBPROTOCOL[version]]}
    for profile in (1, 2, 3):
        await register(security_profile=profile)
        await until_profile(house, identity, version, profile)
        doors = ((BASIC, None), (TLS, own), (MUTUAL, own))
        seen = await asyncio.gather(
            *(secured.status(house.ports[door], identity, context, KEY, **options) for door, context in doors)
        )
        assert seen == [101 if one == profile else 401 for one in (1, 2, 3)]


async def until_profile(house: Gateway, identity: str, version: str, profile: int) -> None:
    """Wait until the gateway has read the record."""
    while await status(house, BASIC, identity, version) != (101 if profile == 1 else 401):
        pass


PASSWORDS = {
    "v16": b"\x00\xff:\xfe" + bytes(range(236, 252)),  # raw bytes, a colon among them
    "v201": "Zürich-Öl-40-Zeichen-".encode().ljust(42, b"x"),  # 40 characters
    "v21": b"p" * 64,
}


@rule("A23", "the user name is the identity; a password is bytes (1.6), or 40 (2.0.1) or 64 (2.1) characters")
async def test_password(house: Gateway, register: Register, identity: str, version: str) -> None:
    password = PASSWORDS[version]
    await register(password_hashes=[fast(password)])
    port = house.ports[BASIC]
    async with charger(port, identity, password, version=version) as one:
        assert await beats(one)
    assert await status(house, BASIC, identity, version, password[:-1]) == 401
    assert (await asked(port, identity, login("other", password), SUBPROTOCOL[version])).status == 401


def change(version: str, key: bytes) -> tuple[str, Any]:
    """The command that sets the password."""
    if version == "v16":
        return "ChangeConfiguration", {"key": "AuthorizationKey", "value": key.hex()}
    variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    return "SetVariables", {"setVariableData": [{"attributeValue": key.decode()} | variable]}


def changed(version: str, status: str) -> Any:
    """The charger's answer."""
    if version == "v16":
        return {"status": status}
    variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    return {"setVariableResult": [{"attributeStatus": status} | variable]}


@rule(
    "A24",
    "a new key counts after Accepted, and then the old one is refused; after Rejected the old one counts",
)
async def test_key_change(house: Gateway, known: None, client: Client, identity: str, version: str) -> None:
    for answer, passes, refused in (("Rejected", KEY, NEW), ("Accepted", NEW, KEY)):
        async with charger(house.ports[BASIC], identity, KEY, version=version) as one:
            await commandable(client, identity)
            asking = asyncio.create_task(send(client, identity, *change(version, NEW)))
            message_id = await heard_call(one)
            await one.send(json.dumps([3, message_id, changed(version, answer)]))
            assert (await asking)[0] == "result"
        while await status(house, BASIC, identity, version, refused) != 401:
            pass
        assert await status(house, BASIC, identity, version, passes) == 101


SUITES = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
]


@rule("A25", "TLS 1.2 with each suite that is demanded, and TLS 1.3; without compression")
async def test_suites(house: Gateway, pki: Pki, known: None, identity: str, version: str) -> None:
    for suite in [*SUITES, ""]:
        context = pki.context()
        if suite:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(suite)
        options: dict[str, Any] = {"subprotocols": [SUBPROTOCOL[version]]}
        async with secured.charger(house.ports[TLS], identity, context, KEY, **options) as one:
            tls = one.transport.get_extra_info("ssl_object")
            assert suite in ("", tls.cipher()[0])
            assert tls.compression() is None
            await one.send('[2,"1","Heartbeat",{}]')
            assert '"currentTime"' in await one.recv()


@rule(
    "A25",
    "profile 3: the chain, the operator and the name in the certificate are the charger's, or it is refused",
)
async def test_certificates(
    house: Gateway, pki: Pki, register: Register, identity: str, version: str, tmp_path: Path
) -> None:
    await register(security_profile=3)
    options: dict[str, Any] = {"subprotocols": [SUBPROTOCOL[version]]}
    port, issue = house.ports[MUTUAL], pki.chargers.issue
    for certificate, wanted in (
        (issue("own", identity, OPERATOR), 101),
        (issue("cn", "another", OPERATOR), 401),
        (issue("o", identity, "Another"), 401),
    ):
        assert await secured.status(port, identity, pki.context(certificate), **options) == wanted
    for wrong in (None, Authority(tmp_path, "other").issue("other", identity, OPERATOR)):
        with pytest.raises(CUT_OFF):
            await secured.status(port, identity, pki.context(wrong), KEY, **options)


async def refuses_tls_1_1(house: Gateway) -> None:
    """A hello of TLS 1.1 and nothing later gets an alert, and no server's hello."""
    before = house.metric("voltgate_handshakes_total", result="tls_version")
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports[TLS])
    writer.write(bytes.fromhex("160301002d01000029" + "0302" + "00" * 32 + "00" + "0002002f" + "0100"))
    with suppress(ConnectionError):
        answer = await reader.read()
        assert answer[:1] in (b"", b"\x15")
    writer.close()
    await until(lambda: house.metric("voltgate_handshakes_total", result="tls_version") > before)


@rule("A25", "TLS 1.1 is refused")
async def test_old_tls(house: Gateway, version: str) -> None:
    await refuses_tls_1_1(house)


# -- docs/ocpp.md E ---------------------------------------------------------------------------------------


@case("a login with the right user name and password", v201="TC_A_01", v16="TC_085")
async def test_case_login(house: Gateway, known: None, identity: str, version: str) -> None:
    async with charger(house.ports[BASIC], identity, KEY, version=version) as one:
        assert await beats(one)


@case("a user name that is not the identity", v201="TC_A_02")
async def test_case_user(house: Gateway, known: None, identity: str, version: str) -> None:
    answer = await asked(house.ports[BASIC], identity, login("another", KEY), SUBPROTOCOL[version])
    assert answer.status == 401


@case("a wrong password", v201="TC_A_03")
async def test_case_password(house: Gateway, known: None, identity: str, version: str) -> None:
    assert await status(house, BASIC, identity, version, b"wrong" * 4) == 401


@case("TLS with the server's certificate", v201="TC_A_04", v16="TC_086")
async def test_case_tls(house: Gateway, pki: Pki, known: None, identity: str, version: str) -> None:
    options: dict[str, Any] = {"subprotocols": [SUBPROTOCOL[version]]}
    assert await secured.status(house.ports[TLS], identity, pki.context(), KEY, **options) == 101


@case("a TLS version that is too old", v201="TC_A_06")
async def test_case_old_tls(house: Gateway, version: str) -> None:
    await refuses_tls_1_1(house)


@case("TLS with the charger's certificate", v201="TC_A_07", v16="TC_087")
async def test_case_certificate(house: Gateway, pki: Pki, known: None, identity: str, version: str) -> None:
    context = pki.context(pki.chargers.issue("case", identity, OPERATOR))
    options: dict[str, Any] = {"subprotocols": [SUBPROTOCOL[version]]}
    assert await secured.status(house.ports[MUTUAL], identity, context, **options) == 101


@case("a certificate that is not the charger's, or of another authority", v201="TC_A_08")
async def test_case_wrong_certificate(
    house: Gateway, pki: Pki, known: None, identity: str, version: str, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other").issue("other", identity, OPERATOR)
    with pytest.raises(CUT_OFF):
        await secured.status(house.ports[MUTUAL], identity, pki.context(other))
    wrong = pki.chargers.issue("wrong", "another", OPERATOR)
    assert await secured.status(house.ports[MUTUAL], identity, pki.context(wrong)) == 401


@case("a version that is not served and one that is: the second is selected", v201="TC_B_58", v16="TC_088")
async def test_case_subprotocols(house: Gateway, known: None, identity: str, version: str) -> None:
    protocol = SUBPROTOCOL[version]
    async with knock(house.ports[OPEN], request(f"/{quote(identity)}", f"ocpp0.1, {protocol}")) as answer:
        assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, protocol)
