"""The cost of validating a frame: ``Codec.decode`` against Python's validators, in one process.

Every contender gets the same thousand frames, each with its own id and values; the rounds of all
contenders are interleaved, so that a busy machine slows all of them. Compare the ratios, not the times.
Run: ``python benchmarks/codec.py``
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import jsonschema_rs
import ocpp.messages
import orjson

from voltgate.schemas import Codec, schema_files

FRAMES = 1000
ROUNDS = 25
SLOW_ROUNDS = 3  # of contenders that take a second a round
START = datetime(2025, 3, 1, tzinfo=UTC)


def heartbeat(dice: random.Random) -> dict[str, object]:
    """The smallest payload."""
    return {}


def status(dice: random.Random) -> dict[str, object]:
    """A 1.6 StatusNotification."""
    return {
        "connectorId": dice.randint(0, 4),
        "errorCode": dice.choice(["NoError", "NoError", "NoError", "GroundFailure", "OverVoltage"]),
        "status": dice.choice(["Available", "Preparing", "Charging", "SuspendedEV", "Finishing"]),
        "timestamp": moment(dice),
    }


def meter_values(dice: random.Random) -> dict[str, object]:
    """A 1.6 MeterValues of three samples."""
    sample = [
        {"value": str(dice.randint(1, 9_999_999)), "context": "Sample.Periodic", "format": "Raw",
         "measurand": "Energy.Active.Import.Register", "location": "Outlet", "unit": "Wh"},
        {"value": f"{dice.uniform(0, 32):.1f}", "context": "Sample.Periodic", "measurand": "Current.Import",
         "phase": dice.choice(["L1", "L2", "L3"]), "unit": "A"},
        {"value": f"{dice.uniform(220, 240):.1f}", "measurand": "Voltage",
         "phase": dice.choice(["L1-N", "L2-N", "L3-N"]), "unit": "V"},
    ]  # fmt: skip
    value = {"timestamp": moment(dice), "sampledValue": sample}
    return {
        "connectorId": dice.randint(1, 4),
        "transactionId": dice.randint(1, 99_999_999),
        "meterValue": [value],
    }


def transaction_event(dice: random.Random) -> dict[str, object]:
    """A 2.0.1 TransactionEvent with two samples."""

    def sample(measurand: str, unit: str, high: float) -> dict[str, object]:
        return {
            "value": round(dice.uniform(0, high), 1),
            "context": "Sample.Periodic",
            "measurand": measurand,
            "unitOfMeasure": {"unit": unit},
        }

    samples = [
        sample("Energy.Active.Import.Register", "Wh", 90_000),
        sample("Power.Active.Import", "W", 22_000),
    ]
    return {
        "eventType": "Updated",
        "timestamp": moment(dice),
        "triggerReason": dice.choice(["MeterValuePeriodic", "ChargingStateChanged", "MeterValueClock"]),
        "seqNo": dice.randint(0, 9999),
        "transactionInfo": {
            "transactionId": str(uuid.UUID(int=dice.getrandbits(128))),
            "chargingState": "Charging",
        },
        "evse": {"id": dice.randint(1, 4), "connectorId": 1},
        "meterValue": [{"timestamp": moment(dice), "sampledValue": samples}],
    }


def moment(dice: random.Random) -> str:
    """A time stamp, with and without milliseconds."""
    at = START + timedelta(milliseconds=dice.randrange(10**10))
    return at.isoformat(timespec=dice.choice(["seconds", "milliseconds"])).replace("+00:00", "Z")


CASES: list[tuple[str, str, str, Callable[[random.Random], dict[str, object]]]] = [
    ("ocpp1.6", "Heartbeat", "Heartbeat", heartbeat),
    ("ocpp1.6", "StatusNotification", "StatusNotification", status),
    ("ocpp1.6", "MeterValues", "MeterValues", meter_values),
    ("ocpp2.0.1", "TransactionEvent", "TransactionEventRequest", transaction_event),
]


def frames(action: str, make: Callable[[random.Random], dict[str, object]]) -> list[bytes]:
    """The frames of a case, each with its own id."""
    dice = random.Random(action)
    ids = (str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(FRAMES))
    texts = (json.dumps([2, message_id, action, make(dice)], separators=(",", ":")) for message_id in ids)
    return [text.encode() for text in texts]


def contenders(subprotocol: str, schema: str) -> dict[str, tuple[int, Callable[[bytes], object]]]:
    """Each validator with its number of rounds."""
    codec = Codec(subprotocol)
    files = dict(schema_files(codec.version))
    validator = jsonschema_rs.validator_for(files[schema].decode(), validate_formats=True)
    loads, valid, decode = orjson.loads, validator.is_valid, codec.decode
    version = subprotocol.removeprefix("ocpp")

    def judged(frame: bytes) -> None:
        valid(loads(frame)[3])

    def mobilityhouse(frame: bytes) -> None:
        ocpp.messages._validate_payload(ocpp.messages.unpack(frame.decode()), version)

    return {
        "Codec.decode": (ROUNDS, decode),
        "orjson.loads": (ROUNDS, loads),
        "orjson + jsonschema_rs": (ROUNDS, judged),
        "mobilityhouse": (SLOW_ROUNDS, mobilityhouse),
    }


def measure(
    texts: list[bytes], field: dict[str, tuple[int, Callable[[bytes], object]]], most: int
) -> dict[str, list[float]]:
    """Microseconds a frame, a figure a round."""
    times: dict[str, list[float]] = {name: [] for name in field}
    for round_ in range(-1, most):  # the round before the first warms up
        for name, (rounds, judge) in field.items():
            if round_ >= rounds:
                continue
            start = time.perf_counter()
            for text in texts:
                judge(text)
            if round_ >= 0:
                times[name].append((time.perf_counter() - start) / len(texts) * 1e6)
    return times


def figures(rounds: int) -> list[dict[str, object]]:
    """For each case: frame, size, and the times of each contender's rounds."""
    result: list[dict[str, object]] = []
    for subprotocol, action, schema, make in CASES:
        texts = frames(action, make)
        refused = [frame for frame in map(Codec(subprotocol).decode, texts) if frame.violation]
        assert not refused, "only valid frames are compared"
        times = measure(texts, contenders(subprotocol, schema), rounds)
        result.append(
            {
                "frame": f"{action} {subprotocol.removeprefix('ocpp')}",
                "bytes": statistics.mean(map(len, texts)),
                "us": times,
            }
        )
    return result


def main() -> None:
    """Print a table, or JSON for run.py, which has the targets."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    gc.disable()
    result = figures(given.rounds)
    if given.json:
        json.dump(result, sys.stdout)
        return
    print(f"{FRAMES} different frames, {given.rounds} interleaved rounds, us a frame: median (min-max)")
    for case in result:
        print(f"\n{case['frame']}, {case['bytes']:.0f} B")
        times = cast(dict[str, list[float]], case["us"])
        own = statistics.median(times["Codec.decode"])
        for name, rounds in times.items():
            median = statistics.median(rounds)
            print(f"  {name:24}{median:9.3f} ({min(rounds):.3f}-{max(rounds):.3f}){median / own:9.1f} x")


if __name__ == "__main__":
    main()
