"""Attacks from NATS: by a user that may only send commands, and by one that may publish everything."""

import asyncio
import json
import random
import re
from collections import Counter

from nats.aio.client import Client
from nats.aio.msg import Msg

from attack.driver import Attacker
from attack.metrics import metric
from attack.sockets import ENDED, dial, text
from attack.target import ACCOUNTS, connected, subjects

EVERY = 0.02  # seconds between two forged messages
RECORD = '{"enabled":true,"password_hashes":[],"forged":true}'


async def reply_subjects(attacker: Attacker) -> None:
    """Commands whose reply subject is not the caller's; the charger's answer would be published there."""
    identity, victim = attacker.identity("colluder"), ACCOUNTS[0]
    targets = (
        f"$KV.ocpp_chargers.{victim}",
        "$JS.API.STREAM.PURGE.OCPP_COMMANDS",
        f"ocpp.tx.v16.StopTransaction.{identity}",
        f"ocpp.link.{identity}",
        f"ocpprpc.send.Reset.{identity}",
    )
    async with (
        connected(attacker.ports.nats_url("caller")) as caller,
        connected(attacker.ports.nats_url("gateway")) as admin,
        dial(attacker.ports.open, identity) as charger,
    ):
        before_record = await record(admin, victim)
        before = await _count(admin, "OCPP_COMMANDS")
        published: Counter[str] = Counter()

        async def watch(message: Msg) -> None:
            if message.headers and "ocpp-outcome" in message.headers:
                published[message.subject] += 1

        for target in targets:
            await admin.subscribe(target, cb=watch)
        await admin.flush()

        async def answer() -> None:
            """Ends with the answer to a Heartbeat, sent behind the last command."""
            while (message := await charger.message())[1] != "end":
                if message[0] == 2:
                    await charger.send(text(f'[3,"{message[1]}",{RECORD}]'))

        async def call() -> None:
            while await attacker.pause(EVERY):
                for target in targets:
                    for subject in ("send.ClearCache", "link.probe"):
                        await caller.publish(f"ocpprpc.{subject}.{identity}", b"{}", reply=target)
                        attacker.counts["commands"] += 1
            await caller.flush()
            await charger.send(text('[2,"end","Heartbeat",{}]'))

        await asyncio.gather(answer(), call())
        await admin.flush()
        for target in published:
            attacker.expect(False, f"an answer was published to {target.replace(identity, 'CHARGER')}")
        attacker.counts["answers published"] += published.total()
        attacker.expect(
            await record(admin, victim) == before_record, "the record of another charger was replaced"
        )
        attacker.expect(await _count(admin, "OCPP_COMMANDS") >= before, "OCPP_COMMANDS was purged")
        forged = await subjects(admin, "OCPP_TX", f"ocpp.tx.*.*.{identity}")
        attacker.expect(not forged, "facts that no charger sent are stored")


async def record(client: Client, identity: str) -> bytes:
    """What the registry holds of a charger."""
    request = json.dumps({"last_by_subj": f"$KV.ocpp_chargers.{identity}"}).encode()
    return (await client.request("$JS.API.DIRECT.GET.KV_ocpp_chargers", request, timeout=10)).data


async def _count(client: Client, stream: str) -> int:
    info = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=10)).data)
    return int(info["state"]["last_seq"]) if info["state"]["messages"] else 0


async def forged_acks(attacker: Attacker) -> None:
    """PubAcks under guessed tokens, made from the reply subjects that every subscriber of facts can see."""
    dice = random.Random(attacker.order.round)
    injected: list[str] = []
    duplicates = await metric(attacker.ports.admin, "voltgate_duplicates_total")
    async with connected(attacker.ports.nats_url("forger")) as forger:

        async def injection(message: Msg) -> None:
            injected.append(message.subject)

        await forger.subscribe("evil.>", cb=injection)
        facts: asyncio.Queue[str] = asyncio.Queue(100)

        async def fact(message: Msg) -> None:
            if message.reply and not facts.full():
                facts.put_nowait(message.reply)

        await forger.subscribe("ocpp.tx.>", cb=fact)
        bodies = [
            b'{"stream":"OCPP_TX","seq":1,"duplicate":true}',
            json.dumps({"stream": "OCPP_TX\r\nPUB evil.x 0\r\n\r\n", "seq": 1, "duplicate": True}).encode(),
            b'{"stream":"OCPP_TX.>\\r\\nPUB evil.y 2\\r\\n","seq":1,"duplicate":true}',
            b'{"stream":["OCPP_TX"],"seq":"1","duplicate":"true"}',
            b'{"stream":"OCPP_EVENTS","seq":-1,"duplicate":true}',
            b'{"stream":"OCPP_TX","seq":99999999999999999999999,"duplicate":true}',
            b'{"error":{"code":"x","err_code":"y","description":1}}',
            b'{"error":[]}', b"[]", b"null", b"", b"{", b"\xff",
        ]  # fmt: skip
        while await attacker.pause(EVERY):
            while not facts.empty():
                reply = facts.get_nowait()
                for body in bodies:
                    for subject in _guesses(reply, dice):
                        await forger.publish(subject, body)
                        attacker.counts["forged"] += 1
            await forger.flush()
    attacker.expect(not injected, f"NATS protocol was injected: {injected[:3]}")
    counted = await metric(attacker.ports.admin, "voltgate_duplicates_total") - duplicates
    attacker.expect(counted == 0, f"{counted:.0f} forged PubAcks were believed")


def _guesses(reply: str, dice: random.Random) -> list[str]:
    """Reply subjects of the next publishes, as far as this one gives them away."""
    prefix, last = reply.rsplit(".", 1)
    counter = re.search(r"\d+$", last if last.isdigit() else prefix)
    if counter is None:
        return []
    ahead = int(counter[0]) + dice.randint(1, 20)
    if last.isdigit():
        return [f"{prefix}.{ahead}"]
    stem = prefix[: counter.start()]
    return [f"{stem}{ahead}.{last}", f"{stem}{ahead}.{dice.getrandbits(64):016x}", f"{stem}{ahead}"]


async def garbage(attacker: Attacker) -> None:
    """Nonsense in links, buckets, inboxes and command subjects: no traceback, no endless retry."""
    links = [
        b"", b"{", b"[]", b"null", b'"up"', b"\xff\xfe", b'{"state":"up"}', b'{"state":1,"identity":[]}',
        b'{"state":"up","identity":"x","session":{},"gateway":5,"epoch":"a"}',
        b'{"state":"up","identity":"g","version":"v16","gateway":"gone","session":"%s"}' % (b"x" * 900_000),
        b'{"state":"up","identity":"g2","version":"v99","gateway":"gone","session":"s","at":"never"}',
        b"[" * 100_000,
    ]  # fmt: skip
    seen: set[str] = set()
    async with connected(attacker.ports.nats_url("forger")) as forger:

        async def fact(message: Msg) -> None:
            if message.reply:
                seen.add(message.reply.rpartition(".")[0])

        await forger.subscribe("ocpp.tx.>", cb=fact)
        while await attacker.pause(0.1):
            for number, body in enumerate(links):
                await forger.publish(f"ocpp.link.garbage{number}", body)
                await forger.publish(f"$KV.ocpp_gateways.garbage{number}", body)
                await forger.publish(f"$KV.ocpp_chargers.garbage{number}", body)
            await _raw(attacker, sorted(seen)[:2])
            await forger.flush()
            attacker.counts["rounds of garbage"] += 1
        # What was left behind must not outlive the attack.
        for number in range(len(links)):
            await forger.request(
                "$JS.API.STREAM.PURGE.OCPP_LINKS",
                json.dumps({"filter": f"ocpp.link.garbage{number}"}).encode(),
                timeout=10,
            )


async def _raw(attacker: Attacker, inboxes: list[str]) -> None:
    """Subjects and headers that nats-py would not write."""
    reader, writer = await asyncio.open_connection("127.0.0.1", attacker.ports.nats)
    await reader.readline()
    writer.write(
        b'CONNECT {"verbose":false,"pedantic":false,"user":"forger","pass":"forger","headers":true}\r\n'
    )
    tokens = [
        b"",
        b"x",
        b"-1",
        b"99999999999999999999999",
        b"\xff\xfe",
        b"1.2.3.4",
        b"1.",
        b"\x1b[2J",
        b"0x10",
        b"1e9",
    ]
    for inbox in inboxes:
        for token in tokens:
            if token:
                writer.write(b"PUB %s.%s 2\r\n{}\r\n" % (inbox.encode(), token))
    for subject in (
        b"ocpprpc.send.\xff.GOOD-000", b"ocpprpc.send.Reset.\xff\xfe", b"ocpprpc.send.\x1b[31m.GOOD-000",
        b"ocpprpc.send.Nope.GOOD-000", b"ocpprpc.send.reset.GOOD-000",
        b"ocpprpc.link.kick.\xff", b"ocpprpc.link.probe.\xff",
        b"ocpprpc.link.nope.GOOD-000", b"ocpprpc.send.a.b.GOOD-000",
    ):  # fmt: skip
        writer.write(b"PUB %s _INBOX.x.y 2\r\n{}\r\n" % subject)
        head = (
            b"NATS/1.0\r\nocpp-timeout: \xff\r\nocpp-deadline: never\r\nocpp-command-id: \x1b]0;x\x07\r\n\r\n"
        )
        writer.write(b"HPUB %s _INBOX.x.y %d %d\r\n%s[\xff\r\n" % (subject, len(head), len(head) + 2, head))
    writer.write(b"PING\r\n")
    await writer.drain()
    while (line := await reader.readline()) and not line.startswith(b"PONG"):
        pass
    writer.close()


async def commands_to_a_mute_charger(attacker: Attacker) -> None:
    """3,000 in each round: each is answered once, with an outcome."""
    identity = attacker.identity("mute")
    outcomes: Counter[str] = Counter()
    async with (
        connected(attacker.ports.nats_url("forger")) as client,
        dial(attacker.ports.open, identity) as charger,
    ):
        await charger.ask("1", "Heartbeat", "{}")
        reading = asyncio.create_task(charger.serve())

        async def command() -> None:
            reply = await client.request(
                f"ocpprpc.send.ClearCache.{identity}", b"{}", timeout=30, headers={"ocpp-timeout": "2"}
            )
            outcomes[(reply.headers or {}).get("ocpp-outcome", "none")] += 1

        try:
            await asyncio.gather(*(command() for _ in range(3000)))
        except ENDED as error:
            attacker.expect(False, f"a command without a reply: {error!r}")
        reading.cancel()
    attacker.expect(set(outcomes) <= {"busy", "timeout", "expired"}, f"outcomes {dict(outcomes)}")
    attacker.counts.update(outcomes)
