"""Bill charging sessions: python billing.py [totals] [NAME].

Records every session, as the durable consumer NAME; with ``totals`` prints the Wh of each tag.

What the bucket holds, each entry under a key that a repeated fact has too, so that writing is idempotent:

- ``tag/S``: who charges, in the session S
- ``begin/S``: the meter when it began, in Wh
- ``id/S``: 1.6: the transaction that S is, from the Response
- ``end/T``: the meter when the transaction T ended, in Wh

S is the ``ocpp-key`` of StartTransaction in 1.6, and T itself in 2.x; T is identity and transaction id.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import BucketNotFoundError
from nats.js.kv import KeyValue

# The models describe valid messages; the gateway passes on others too, with the header ocpp-violation.
# Of 2.x those of 2.0.1: 2.1 has the same members, and more.
from models.v16.StartTransaction_request import StartTransactionRequest
from models.v16.StartTransaction_response import StartTransactionResponse
from models.v16.StopTransaction_request import StopTransactionRequest
from models.v201.TransactionEvent_request import Model as TransactionEventRequest
from network import connect, facts, key, latest


async def bill(nc: Client, bucket: KeyValue, name: str) -> None:
    """Record every session, for ever."""
    async for fact in facts(nc, "OCPP_TX", name, "ocpp.tx.>"):
        try:
            for entry, value in entries(fact):
                await bucket.put(entry, str(value).encode())
        except Exception as error:  # whatever it is, the fact must come again
            print(fact.subject, repr(error), file=sys.stderr)
            await fact.nak(delay=5)
        else:
            await fact.ack()  # an acknowledgement that is lost brings the fact again


def entries(fact: Msg) -> Iterator[tuple[str, Any]]:
    """What one fact says. Facts may come twice, and in any order; one that lacks what is billed raises."""
    _, _, version, action, charger = fact.subject.split(".")
    session = (fact.headers or {})["ocpp-key"]
    match version, action:
        case "v16", "StartTransaction":
            start: StartTransactionRequest = json.loads(fact.data)
            yield f"tag/{session}", start["idTag"]
            yield f"begin/{session}", int(start["meterStart"])
        case "v16", "StartTransactionResponse":
            answer: StartTransactionResponse = json.loads(fact.data)
            if "transactionId" in answer:  # else it is a CALLERROR
                yield f"id/{session}", f"{charger}/{answer['transactionId']}"
        case "v16", "StopTransaction":
            stop: StopTransactionRequest = json.loads(fact.data)
            yield f"end/{charger}/{stop['transactionId']}", int(stop["meterStop"])
        case _, "TransactionEvent":
            event: TransactionEventRequest = json.loads(fact.data)
            session = f"{charger}/{key(event['transactionInfo']['transactionId'])}"
            if "idToken" in event and event["eventType"] != "Ended":
                yield f"tag/{session}", event["idToken"]["idToken"]
            meter = list(registers(event))
            if meter and event["eventType"] == "Started":
                yield f"begin/{session}", meter[0]
            elif meter and event["eventType"] == "Ended":
                yield f"end/{session}", meter[-1]


def registers(event: TransactionEventRequest) -> Iterator[int]:
    """The readings of the energy register of 2.x in Wh, in the order of the message."""
    for value in event.get("meterValue", []):
        for sample in value["sampledValue"]:
            measurand = sample.get("measurand", "Energy.Active.Import.Register")
            if measurand == "Energy.Active.Import.Register" and "phase" not in sample:
                unit = sample.get("unitOfMeasure", {})
                wh = Decimal(str(sample["value"])).scaleb(unit.get("multiplier", 0))
                yield round(wh * 1000 if unit.get("unit", "Wh") == "kWh" else wh)


async def totals(nc: Client, name: str) -> dict[str, int]:
    """Add up the Wh of each tag, over all sessions that ended."""
    prefix = f"$KV.{name}."
    entries = await latest(nc, f"KV_{name}", f"{prefix}>")
    found = {entry.subject.removeprefix(prefix): entry.data for entry in entries}
    sums = Counter[str]()
    for place, tag in found.items():
        kind, _, session = place.partition("/")
        begin = found.get(f"begin/{session}")
        end = found.get("end/" + found.get(f"id/{session}", session.encode()).decode())
        if kind == "tag" and begin and end:  # else it goes on
            sums[tag.decode()] += int(end) - int(begin)
    return sums


async def main(arguments: list[str]) -> None:
    only_totals = arguments[:1] == ["totals"]
    name = (arguments[1:] if only_totals else arguments) or ["billing"]
    nc = await connect()
    try:
        bucket = await nc.jetstream().key_value(name[0])
    except BucketNotFoundError:
        bucket = await nc.jetstream().create_key_value(bucket=name[0])
    if only_totals:
        print(json.dumps(await totals(nc, name[0])))
    else:
        await bill(nc, bucket, name[0])
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
