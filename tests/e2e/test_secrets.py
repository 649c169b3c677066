"""Secrets that pass through a running gateway: no stream, log, live message or printed config has them.

See docs/contract.md 3.5. ``gateway/session/test_payloads.py`` has the table of places; here all that keeps or
shows anything is searched.
"""

import asyncio
import json
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from e2e.commanding import commandable
from e2e.guarded import PASSWORD, Guarded
from e2e.house import PATIENCE, config
from e2e.logins import charger
from e2e.strangers import connected, token
from jetstream import free_port
from processes import Voltgate
from voltgate.gateway.bus import streams
from voltgate.gateway.registry.hasher import hash_password

OWN, SECRET = b"own-Geheimnis-1234", "new-Geheimnis-5678"
NOW = "2026-03-01T10:00:00Z"
PASSWORD_2 = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
REPORTED = {
    "requestId": 1, "generatedAt": NOW, "seqNo": 0,
    "reportData": [PASSWORD_2 | {"variableAttribute": [{"value": SECRET}]}],
}  # fmt: skip
ENCODED = b64encode(json.dumps(REPORTED).encode()).decode()
SIGNED = {"protected": "e30", "payload": ENCODED, "signature": "c2ln"}
# Nothing of these may be found anywhere.
SECRETS = (OWN.decode(), SECRET, PASSWORD, ENCODED, b64encode(b"CP-v16:" + OWN).decode())

CHANGE = {"key": "AuthorizationKey", "value": SECRET}
FILES = {"location": f"ftp://u:{SECRET}@h/"}
# What is sent to a charger, and what it answers: ``~id~`` is the message id.
COMMANDS: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "v16": [
        ("ChangeConfiguration", CHANGE, '[3,"~id~",{"status":"Rejected"}]'),
        ("ChangeConfiguration", CHANGE,
         f'[4,"~id~","GenericError","{SECRET} is weak",{{"value":"{SECRET}"}}]'),
        ("GetConfiguration", {}, '[3,"~id~",{"configurationKey":[{"key":"AuthorizationKey","readonly":false,'
         f'"value":"{SECRET}"}}]}}]'),
        ("UpdateFirmware", FILES | {"retrieveDate": NOW}, '[3,"~id~",{}]'),
        ("GetDiagnostics", FILES, f'[3,"~id~",{{"fileName":"{SECRET}","x":1}}]'),
    ],
    "v201": [
        ("SetVariables", {"setVariableData": [PASSWORD_2 | {"attributeValue": SECRET}]}, json.dumps(
            [3, "~id~", {"setVariableResult": [PASSWORD_2 | {"attributeStatus": "Rejected"}]}])),
        ("GetVariables", {"getVariableData": [PASSWORD_2]}, json.dumps(
            [3, "~id~", {"getVariableResult": [
                PASSWORD_2 | {"attributeStatus": "Accepted", "attributeValue": SECRET}]}])),
        ("GetLog", {"requestId": 1, "logType": "SecurityLog", "log": {"remoteLocation": f"ftp://u:{SECRET}@h"}},
         '[3,"~id~",{"status":"Accepted"}]'),
    ],
}  # fmt: skip
# What a charger sends by itself.
FRAMES = {
    "v16": [
        f'[3,"stray",{{"configurationKey":[{{"key":"AuthorizationKey","value":"{SECRET}"}}]}}]',
        f'[3,"stray",{{"password":"{SECRET}"',
        f'[4,"stray","GenericError","{SECRET}",{{}}]',
    ],
    "v201": [
        json.dumps([2, "1", "NotifyReport", REPORTED]),
        json.dumps([2, "2", "NotifyReport-Signed", SIGNED]),
        json.dumps([2, "3", "NotifyReport-Signed", SIGNED, "too much"]),
        json.dumps([2, "4", "NotifyReport", REPORTED | {"unknown": SECRET}]),
    ],
}


async def converse(client: Client, port: int, version: str) -> None:
    """All commands and frames of a version."""
    identity = f"CP-{version}"
    async with charger(port, identity, OWN, version=version) as station:
        await commandable(client, identity)
        for action, payload, answer in COMMANDS[version]:
            subject = f"ocpprpc.send.{action}.{token(identity)}"
            body = json.dumps(payload).encode()
            sending = asyncio.ensure_future(client.request(subject, body, timeout=PATIENCE))
            heard = json.loads(await station.hear())
            assert heard[3] == payload, "the charger gets it unmasked"
            await station.send(answer.replace("~id~", heard[1]))
            await sending
        for frame in FRAMES[version]:
            await station.send(frame)
        await station.send('[2,"last","Heartbeat",{}]')
        while '"last"' not in await station.hear():
            pass


async def stored(client: Client) -> str:
    """Every message of every stream, headers and all."""
    found = []
    for info in await client.jsm().streams_info():
        name = info.config.name
        assert name is not None
        for seq in range(max(1, info.state.first_seq), info.state.last_seq + 1):
            with suppress(NotFoundError):  # replaced by a later one of its subject
                message = await client.jetstream().get_msg(name, seq)
                found.append(f"{message.subject} {message.headers} {message.data!r}")
    return "\n".join(found)


async def test_no_secret_is_kept_or_shown(server: Guarded, tmp_path: Path) -> None:
    client = await connected(server.url)
    await streams.apply(client, config(server))
    bucket = await client.jetstream().key_value("ocpp_chargers")
    record = json.dumps({"enabled": True, "password_hashes": [hash_password(OWN)]}).encode()
    for version in COMMANDS:
        await bucket.put(f"CP-{version}", record)
    port, file, gateway = free_port(), tmp_path / "voltgate.toml", server.url_of("gateway")
    file.write_text(
        f'validation = "strict"\n[log]\nlevel = "debug"\n[admin]\nport = 0\n[drain]\ngrace = 0\n'
        f'[nats]\nask_grace = 0.2\nurl = "{gateway}"\n'
        f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n'
    )
    operator = server.url_of("operator")
    serve = started(tmp_path / "serve", "serve", "--config", str(file))
    tail = started(tmp_path / "tail", "tail", "--json", VOLTGATE_NATS__URL=operator)
    printed = started(tmp_path / "print", "check", "--print-config", "--config", str(file))
    try:
        await asyncio.to_thread(serve.until, lambda: "gateway.started" in serve.err, "it serves")
        async with asyncio.timeout(PATIENCE):
            while not tail.out:
                await client.publish("ocpp.live.v16.Heartbeat.nobody", b"{}")
                await asyncio.sleep(0.05)
        for version in COMMANDS:
            await converse(client, port, version)
        await asyncio.to_thread(
            tail.until, lambda: tail.out.count('"state":"down"') == len(COMMANDS), "the last link"
        )
        assert printed.process.wait(PATIENCE) == 0
    finally:
        for running in (serve, tail):
            running.process.kill()
            running.process.wait()
    kept = await stored(client)
    await client.close()
    assert kept.count("***") >= 10, "the facts are there"
    assert "***" in tail.out
    assert "***" in printed.out
    everything = {
        "streams": kept,
        "tail": tail.out + tail.err,
        "log": serve.out + serve.err,
        "config": printed.out,
    }
    found = [(place, secret) for place, text in everything.items() for secret in SECRETS if secret in text]
    assert found == []


def started(folder: Path, *arguments: str, **environment: str) -> Voltgate:
    folder.mkdir()
    return Voltgate(folder, *arguments, **environment)
