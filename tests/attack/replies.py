"""Replies on NATS that go where their asker wants, and replies that are not what was asked for."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter

from nats.aio.msg import Msg

from attack.driver import Attacker
from attack.messages import EVERY, RECORD, record
from attack.sockets import ENDED, RefusedError, dial, text
from attack.target import ACCOUNTS, connected, subjects

BROKEN = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff",
    b'{"idTagInfo":1}',
    b'{"idTagInfo":{"status":"Yes"}}',
    b"[" * 9999,
)


async def kicks_and_questions(attacker: Attacker) -> None:
    """Kicks, and questions that no gateway asked: their answers go to no subject that is not an inbox."""
    identity, victim = attacker.identity("kicked"), ACCOUNTS[0]
    targets = (
        f"$KV.ocpp_chargers.{victim}",
        "$JS.API.STREAM.PURGE.OCPP_COMMANDS",
        f"ocpp.tx.v16.StopTransaction.{identity}",
        f"ocpprpc.send.Reset.{identity}",
    )
    asked = {
        f"ocpprpc.link.kick.{identity}": b"{}",
        f"ocpprpc.ask.v16.Authorize.{identity}": b'{"idTag":"04A2B3"}',
        f"ocpprpc.ask.v16.DataTransfer.{identity}": b'{"vendorId":"x"}',
        f"ocpprpc.ask.v16.Nope.{identity}": RECORD.encode(),
    }
    published: Counter[str] = Counter()
    async with (
        connected(attacker.ports.nats_url("caller")) as caller,
        connected(attacker.ports.nats_url("gateway")) as admin,
    ):
        before = await record(admin, victim)

        async def watch(message: Msg) -> None:
            published[message.subject] += 1

        for target in targets:
            await admin.subscribe(target, cb=watch)
        await admin.flush()

        async def colluder() -> None:
            while not attacker.stop.is_set():
                try:
                    async with dial(attacker.ports.open, identity) as charger:
                        attacker.counts["connections"] += 1
                        await attacker.until_stop(charger.serve())
                except RefusedError:
                    pass
                except ENDED:
                    attacker.counts["kicked"] += 1
                await attacker.pause(EVERY)

        async def ask() -> None:
            while await attacker.pause(EVERY):
                for subject, body in asked.items():
                    for target in targets:
                        await caller.publish(subject, body, reply=target)
                        attacker.counts["requests"] += 1
            await caller.flush()

        await asyncio.gather(colluder(), ask())
        await admin.flush()
        for target in published:
            attacker.expect(False, f"an answer was published to {target.replace(identity, 'CHARGER')}")
        attacker.expect(await record(admin, victim) == before, "the record of another charger was replaced")
        forged = await subjects(admin, "OCPP_TX", f"ocpp.tx.*.*.{identity}")
        attacker.expect(not forged, "facts that no charger sent are stored")


async def broken_replies(attacker: Attacker) -> None:
    """A second backend whose replies are broken: the right one of the first still counts.

    And a charger whose results are broken: each outcome is ``bad_result``, with what it sent.
    """
    identity = attacker.identity("broken")
    async with (
        connected(attacker.ports.nats_url("forger")) as forger,
        dial(attacker.ports.open, identity) as charger,
    ):
        number = 0

        async def reply(message: Msg) -> None:
            nonlocal number
            number += 1
            await forger.publish(message.reply, BROKEN[number % len(BROKEN)])
            attacker.counts["broken replies"] += 1

        await forger.subscribe(f"ocpprpc.ask.*.*.{identity}", cb=reply)
        await forger.flush()
        while await attacker.pause(EVERY):
            asked = str(attacker.counts["questions"])
            answer = await charger.ask(asked, "Authorize", '{"idTag":"04A2B3"}')
            attacker.expect(answer[0] == 3 and "idTagInfo" in answer[2], f"the charger was answered {answer}")
            attacker.counts["questions"] += 1
        for result in ('{"status":1}', '{"status":"Accepted"', '["x"]', '"\\ud800"'):

            async def answer_command(result: str = result) -> None:
                while (message := await charger.message())[0] != 2:
                    pass
                await charger.send(text(f'[3,"{message[1]}",{result}]'))

            answering = asyncio.create_task(answer_command())
            subject = f"ocpprpc.send.ClearCache.{identity}"
            reply_ = await forger.request(subject, b"{}", timeout=20, headers={"ocpp-timeout": "2"})
            outcome = (reply_.headers or {}).get("ocpp-outcome")
            attacker.expect(
                outcome == "bad_result" and reply_.data != b"", f"{result!r}: {outcome} {reply_.data!r}"
            )
            await answering


async def tail_of_nonsense(attacker: Attacker) -> None:
    """Messages that would steer a terminal, or are none of ours: `voltgate tail` goes on, in plain text."""
    url = attacker.ports.nats_url("gateway")
    tail = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voltgate", "tail"),
        stdout=PIPE,
        stderr=STDOUT,
        env=os.environ | {"VOLTGATE_NATS__URL": url},
    )
    assert tail.stdout is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", attacker.ports.nats)
    writer.write(
        b'CONNECT {"verbose":false,"pedantic":false,"user":"forger","pass":"forger","headers":true}\r\n'
    )
    head = b"NATS/1.0\r\nocpp-version: \x1b[2J\r\nocpp-identity: \x1b]0;x\x07\r\nx: \xff\r\n\r\n"
    places = (
        b"ocpp.x",
        b"ocpp.link.x",
        b"ocpp.live.\x1b[31m.y.z",
        b"ocpp.reject.\xff",
        b"ocpp.security.a.b.c.d",
    )
    bodies = (b"", b"{", b'{"state":"\x1b[1m"}', b"\x1b[2J", "\u202e\x9b".encode(), b"\xff" * 100)

    async def send() -> None:
        # What is sent counts here, not how fast NATS carries it.
        while await attacker.pause(0.05):
            for place in places:
                for body in bodies:
                    writer.write(b"PUB %s %d\r\n%s\r\n" % (place, len(body), body))
                    sizes = (place, len(head), len(head) + len(body), head, body)
                    writer.write(b"HPUB %s %d %d\r\n%s%s\r\n" % sizes)
                    attacker.counts["messages"] += 2
            await writer.drain()

    async def watch() -> None:
        assert tail.stdout is not None
        async for line in tail.stdout:
            attacker.counts["lines"] += 1
            attacker.expect(b"Traceback" not in line, f"a traceback: {line!r}")
            attacker.expect(not set(line) & {0x1B, 0x07, 0x9B}, f"it would steer a terminal: {line!r}")

    await attacker.until_stop(send(), watch())
    attacker.expect(tail.returncode is None, f"tail ended with {tail.returncode}")
    attacker.expect(attacker.counts["lines"] > 0, "tail showed nothing")
    if tail.returncode is None:
        tail.kill()
    await tail.wait()
    writer.close()
    reader.feed_eof()
