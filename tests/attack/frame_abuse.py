"""Frames that break a rule of RFC 6455, and OCPP messages changed at random places."""

import asyncio
import random
import struct
from collections import Counter

from attack.driver import Attacker
from attack.sockets import CLOSE, ENDED, PATIENCE, RefusedError, dial, text
from frames import BINARY, CONT, FIN, PING, PONG, RSV1, RSV2, RSV3, TEXT, frame

PARALLEL = 10
AT = "2026-03-01T10:00:00Z"
CALLS = (
    ("Heartbeat", "{}"),
    (
        "StatusNotification",
        f'{{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"{AT}"}}',
    ),
    ("BootNotification", '{"chargePointVendor":"v","chargePointModel":"m","firmwareVersion":"1.0"}'),
    ("Authorize", '{"idTag":"04A2B3C4"}'),
    (
        "MeterValues",
        f'{{"connectorId":1,"meterValue":[{{"timestamp":"{AT}","sampledValue":[{{"value":"1","unit":"Wh"}}]}}]}}',
    ),
    ("DataTransfer", '{"vendorId":"x","messageId":"y","data":"z"}'),
    ("FirmwareStatusNotification", '{"status":"Idle"}'),
)
ALPHABET = '{}[]",:0123456789.eE+-\\/ntrufalsabcABCXYZ \t\x00\x1f'


def violations() -> dict[str, bytes]:
    """Each ends the connection; the codes are those of RFC 6455 5 and 7."""
    found = {f"opcode {opcode}": frame(FIN | opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)}
    for name, opcode in {"text": TEXT, "binary": BINARY, "ping": PING, "pong": PONG, "close": CLOSE}.items():
        found[f"{name} without a mask"] = frame(FIN | opcode, b"", mask=0)
        for bits in (RSV1, RSV2, RSV3, RSV1 | RSV2):
            found[f"{name} with reserved bits {bits:02x}"] = frame(FIN | opcode | bits)
    for name, opcode in {"ping": PING, "pong": PONG, "close": CLOSE}.items():
        found[f"{name} in fragments"] = frame(opcode)
        found[f"{name} of 126 bytes"] = frame(FIN | opcode, bytes(126))
    found |= {
        "continuation of nothing": frame(FIN | CONT, b"x"),
        "text inside a message": frame(TEXT, b"x") + frame(FIN | TEXT, b"y"),
        "binary": frame(FIN | BINARY, b"x"),
        "invalid UTF-8": text(b"\xff\xfe"),
        "half a character": text(b"\xe2\x82"),
        "2^64-1 bytes": frame(FIN | TEXT, claim=2**64 - 1),
        "2^63 bytes": frame(FIN | TEXT, claim=2**63),
        "too big": frame(FIN | TEXT, claim=600_000),
        "1001 fragments": frame(TEXT) + frame(CONT) * 1001 + frame(FIN | CONT),
    }
    for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535):
        found[f"close with code {code}"] = frame(FIN | CLOSE, struct.pack("!H", code))
    found["close of one byte"] = frame(FIN | CLOSE, b"x")
    found["close with a broken text"] = frame(FIN | CLOSE, struct.pack("!H", 1000) + b"\xff")
    return found


async def websocket_violations(attacker: Attacker) -> None:
    """Each ends its connection, and nothing behind it is answered."""
    cases = violations()
    call = text('[2,"after","Heartbeat",{}]')

    async def one(number: int) -> None:
        while not attacker.stop.is_set():
            for name, data in list(cases.items())[number::PARALLEL]:
                try:
                    async with dial(attacker.ports.open, attacker.identity(f"violation{number}")) as socket:
                        await socket.send(data + call)
                        async with asyncio.timeout(PATIENCE):
                            answer = await socket.message()
                        attacker.expect(False, f"{name}: answered {answer!r}")
                except TimeoutError:
                    attacker.expect(False, f"{name}: the connection stays open")
                except RefusedError as refused:
                    attacker.counts[f"refused {refused.status}"] += 1
                except ENDED:
                    attacker.counts["closed"] += 1
                if not await attacker.pause(0.05):
                    return

    await asyncio.gather(*(one(number) for number in range(PARALLEL)))


def mutated(dice: random.Random, number: str) -> str:
    """A CALL with its id intact and some characters behind it changed, dropped or added."""
    action, payload = dice.choice(CALLS)
    body = list(f'"{action}",{payload}]')
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(body))
        match dice.randrange(4):
            case 0:
                body[place] = dice.choice(ALPHABET)
            case 1:
                body.insert(place, dice.choice(ALPHABET))
            case 2 if len(body) > 1:
                del body[place]
            case _:
                body = body[:place] + body[place : place + 20] + body[place:]
    return f'[2,"{number}",' + "".join(body)


async def mutated_frames(attacker: Attacker) -> None:
    """Exactly one answer each, under its own id."""

    async def one(charger: int) -> None:
        dice = random.Random(1000 * attacker.order.round + charger)
        seen: Counter[str] = Counter()
        try:
            async with dial(attacker.ports.open, attacker.identity(f"mutant{charger}")) as socket:
                number = 0
                while not attacker.stop.is_set():
                    number += 1
                    sent = mutated(dice, str(number))
                    await socket.send(text(sent))
                    try:
                        async with asyncio.timeout(PATIENCE):
                            while not seen[str(number)]:
                                message = await socket.message()
                                seen[str(message[1])] += 1
                    except TimeoutError:
                        attacker.expect(False, f"no answer to {sent!r}")
                        seen[str(number)] += 1
                await socket.ask("last", "Heartbeat", "{}")
                attacker.counts["frames"] += number
        except (*ENDED, RefusedError) as error:
            attacker.expect(False, f"the connection ended: {error!r}")
        repeated = {key: count for key, count in seen.items() if count != 1}
        attacker.expect(not repeated, f"answers by id: {repeated}")

    await asyncio.gather(*(one(charger) for charger in range(PARALLEL)))
