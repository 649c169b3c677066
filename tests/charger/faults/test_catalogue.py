"""What each fault makes of a transaction: its messages in short, and that they are OCPP."""

import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from voltgate import Codec
from voltgate.charger.faults import FAULTS, Moment, Scene, applied, named
from voltgate.charger.faults.clocks import clock_drifts, clock_zone, no_clock
from voltgate.charger.faults.energy import INLET_SHARE, JUMP, SPIKE
from voltgate.charger.faults.meters import batches, is_register
from voltgate.charger.faults.transactions import MORE, STRAY
from voltgate.charger.messages import V16, Message, Status, Transaction, V2x, rfc3339
from voltgate.schemas import SUBPROTOCOLS

BOOTED = datetime(2026, 3, 1, 8, tzinfo=UTC)
BEGAN = BOOTED + timedelta(hours=10)
READINGS = (5000, 5600, 6300, 7000)  # at the begin, in two meter values, at the end
REFERENCE = Path(__file__).parents[3] / "docs" / "reference.md"


def transaction(version: str, *names: str) -> list[Message]:
    """The messages of one transaction of a charger with these faults, a minute apart."""
    now = [BEGAN]
    dialect = (V16 if version == "v16" else V2x)(lambda: rfc3339(now[0]))
    tx = Transaction(1, "04A2B3C4", id=77 if version == "v16" else "tx", stopped="Local")
    sent = [applied(names, dialect.status(1, Status.AVAILABLE), Scene(version=version, booted=BOOTED))]
    makers = [dialect.started, dialect.updated, dialect.updated, dialect.ended]
    moments = [Moment.BEGIN, Moment.SAMPLE, Moment.SAMPLE, Moment.END]
    for place, (make, moment) in enumerate(zip(makers, moments, strict=True)):
        tx.meter = READINGS[place]
        scene = Scene(version=version, moment=moment, booted=BOOTED, readings=READINGS[: place + 1])
        sent.append(applied(names, make(tx), scene))
        now[0] += timedelta(minutes=1)
    value = dialect.metered(1, 7000, "Sample.Clock")
    sent.append(applied(names, value, Scene(version=version, booted=BOOTED)))
    return [message for messages in sent for message in messages]


def short(message: Message) -> str:
    """``Start 5000``, ``Updated 5600Wh``: the kind of a message, and its energy."""
    action, payload = message
    kind = payload.get("eventType") or action.removesuffix("Transaction").removesuffix("Notification")
    words = [kind, *(str(payload[name]) for name in ("meterStart", "meterStop") if name in payload)]
    for batch in batches(message):
        words += [
            f"{one['value']}{one.get('unit') or one.get('unitOfMeasure', {}).get('unit', '')}"
            f"{one.get('phase', '')}{one.get('location', '')}"
            for one in batch["sampledValue"]
            if is_register(one) or "Energy" in one["measurand"]
        ]
    return " ".join(words)


def shorts(version: str, name: str) -> list[str]:
    """Without the status before and the meter value behind the transaction."""
    return [short(message) for message in transaction(version, name)][1:-1]


def old(begin: str = "5000", one: str = "5600Wh", two: str = "6300Wh", end: str = "7000") -> list[str]:
    words = (("Start", begin), ("MeterValues", one), ("MeterValues", two), ("Stop", end))
    return [f"{kind} {value}".strip() for kind, value in words]


def new(begin: str = "5000Wh", one: str = "5600Wh", two: str = "6300Wh", end: str = "7000Wh") -> list[str]:
    events = (("Started", begin), ("Updated", one), ("Updated", two), ("Ended", end))
    return [f"{event} {value}".strip() for event, value in events]


THIRDS = [
    "1666WhL1 1666WhL2 1668WhL3", "1866WhL1 1866WhL2 1868WhL3", "2100WhL1 2100WhL2 2100WhL3",
    "2333WhL1 2333WhL2 2334WhL3",
]  # fmt: skip
BESIDE = [f"{phases} {value}Wh" for phases, value in zip(THIRDS, READINGS, strict=True)]
INLETS = [f"{round(value * INLET_SHARE)}WhInlet {value}WhOutlet" for value in READINGS]
ODD = [f" {value}.0 Wh NaNWh Wh" for value in READINGS]
SIGNED = [f"OCMF|{{}}|{{}} {value}Wh" for value in READINGS]
TABLE: dict[str, tuple[list[str], list[str]]] = {
    "kwh": (old("5000", "5.6kWh", "6.3kWh"), new("5kWh", "5.6kWh", "6.3kWh", "7kWh")),
    "kwh_named_wh": (old("5000", "5.6Wh", "6.3Wh"), new("5Wh", "5.6Wh", "6.3Wh", "7Wh")),
    "multiplier": (old(), new("5Wh", "5.6Wh", "6.3Wh", "7Wh")),
    "phases_only": (old("5000", *THIRDS[1:3]), new(*THIRDS)),
    "phases_beside": (old("5000", *BESIDE[1:3]), new(*BESIDE)),
    "inlet_beside": (old("5000", *INLETS[1:3]), new(*INLETS)),
    "begin_zero": (old("0"), new("0Wh")),
    "samples_from_zero": (old("5000", "600Wh", "1300Wh"), new("5000Wh", "600Wh", "1300Wh")),
    "two_registers": (
        old("5000", "5000Wh 5600Wh", "5000Wh 6300Wh"),
        new("5000Wh", "5000Wh 5600Wh", "5000Wh 6300Wh"),
    ),
    "register_reset": (old("5000", "5600Wh", "0Wh", "700"), new("5000Wh", "5600Wh", "0Wh", "700Wh")),
    "register_jumps_back": (
        old("5000", "5600Wh", f"{5600 - JUMP}Wh"),
        new("5000Wh", "5600Wh", f"{5600 - JUMP}Wh"),
    ),
    "spike": (old("5000", "5600Wh", f"{6300 + SPIKE}Wh"), new("5000Wh", "5600Wh", f"{6300 + SPIKE}Wh")),
    "stop_zero": (old(end="0"), new(end="0Wh")),
    "no_energy": (old("5000", "", ""), new("5000Wh", "", "")),
    "no_meter_values": (["Start 5000", "Stop 7000"], new("5000Wh", "", "")),
    "intervals": (old("0", "600Wh", "700Wh", "0"), new("", "600Wh", "700Wh", "700Wh")),
    "odd_numbers": (old("5000", *ODD[1:3]), new()),
    "signed_beside": (old("5000", *SIGNED[1:3]), new()),
    "bare_values": (old("5000", "5600", "6300"), new()),
    "power_loss": ([*old()[:3], "Boot", "Stop 6300"], [*new()[:3], "Boot", "Ended 6300Wh"]),
    "key_conflict": (
        old(),
        [*new()[:2], f"Updated {5600 + MORE}Wh", new()[2], f"Updated {6300 + MORE}Wh", new()[3]],
    ),
    "stop_twice": ([*old(), f"Stop {7000 + MORE}"], [*new(), f"Ended {7000 + MORE}Wh"]),
    "values_after_stop": ([*old(), "MeterValues 7000Wh"], [*new(), "Updated 7000Wh"]),
    "start_rewritten": (["Start 5000", *old()], new()),
    "stop_stray": (["Start 5000", "Stop 5000", *old()[1:]], ["Started 5000Wh", "Ended", *new()[1:]]),
    "start_lost": (old()[1:], new()[1:]),
    "stop_lost": (old()[:-1], new()[:-1]),
    "seq_gap": (old(), [*new()[:2], new()[3]]),
    "sent_twice": ([one for one in old() for _ in "12"], [one for one in new() for _ in "12"]),
    "reboot": ([*old()[:2], "Boot", *old()[2:]], [*new()[:2], "Boot", *new()[2:]]),
    "status_available": ([*old()[:2], "Status", *old()[2:]], [*new()[:2], "Status", *new()[2:]]),
    "token_late": (old(), ["Started 5000Wh", "Updated", *new()[1:]]),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_messages_of_a_transaction_with_one_fault(name: str) -> None:
    assert shorts("v16", name) == TABLE[name][0]
    assert shorts("v201", name) == TABLE[name][1]


@pytest.mark.parametrize("version", SUBPROTOCOLS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_valid_ocpp_and_changes_something(version: str, name: str) -> None:
    """A message that violates its schema is another kind of fault, which the gateway marks."""
    codec = Codec(SUBPROTOCOLS[version])
    sent = transaction(version, name)
    for action, payload in sent:
        assert codec.check(action, "request", orjson.dumps(payload)) is None, (name, payload)
    fault = FAULTS[name]
    in_behaviour = fault.away or fault.stubborn or fault.repeats_ids
    assert (sent != transaction(version)) == (version in fault.versions and not in_behaviour)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_never_changes_what_it_was_given(name: str) -> None:
    (message, *_) = transaction("v201")
    before = deepcopy(message)
    applied([name], message, Scene(version="v201", booted=BOOTED))
    assert message == before


def details(version: str, name: str) -> list[dict[str, Any]]:
    return [payload for _, payload in transaction(version, name)][1:-1]


def test_ids_tokens_and_numbers() -> None:
    unknown = [payload.get("transactionId") for payload in details("v16", "tx_id_unknown")]
    assert unknown == [None, -1, -1, -1]
    assert details("v16", "stop_stray")[1]["transactionId"] == STRAY
    assert details("v201", "stop_stray")[1]["transactionInfo"] == {"transactionId": "tx-old"}
    assert [payload["seqNo"] for payload in details("v21", "seq_restarts")] == [0, 1, 0, 1]
    assert [payload["seqNo"] for payload in details("v21", "seq_gap")] == [0, 1, 3]
    late = details("v21", "token_late")
    assert [("idToken" in payload, payload["seqNo"]) for payload in late] == [
        (False, 0), (True, 1), (False, 2), (False, 3), (False, 4),
    ]  # fmt: skip
    assert [payload["seqNo"] for payload in details("v21", "key_conflict")] == [0, 1, 1, 2, 2, 3]
    assert details("v201", "evse_bare")[0]["evse"] == {"id": 1}
    assert "idTag" not in details("v16", "stop_without_tag")[-1]
    first, again = details("v16", "start_rewritten")[:2]
    assert datetime.fromisoformat(first["timestamp"]) == datetime.fromisoformat(again["timestamp"])
    assert first != again
    aligned = details("v16", "clock_aligned")[1]
    assert "transactionId" not in aligned
    assert {one["context"] for one in aligned["meterValue"][0]["sampledValue"]} == {"Sample.Clock"}


@pytest.mark.parametrize(
    ("fault", "first"),
    [(no_clock, "1970-01-01T10:00:00.000Z"), (clock_zone, "2026-03-01T20:00:00.000Z"),
     (clock_drifts, "2026-03-01T18:12:00.000Z")],
)  # fmt: skip
def test_clocks(fault: Any, first: str) -> None:
    for version in SUBPROTOCOLS:
        messages = transaction(version, fault.__name__)
        assert messages[0][1]["timestamp"] == messages[1][1]["timestamp"] == first
        assert BEGAN.strftime("%Y-%m-%dT%H") not in str(messages) or fault is clock_drifts


def test_zeros_between_transactions_leave_transactions_alone() -> None:
    assert [short(message) for message in transaction("v16", "zeros_between")][1:] == [
        *old(),
        "MeterValues 0Wh",
    ]


def test_faults_combine_in_the_order_of_the_list() -> None:
    names = named("kwh, stop_twice,")
    assert names == ("stop_twice", "kwh")
    assert [short(one) for one in transaction("v201", *names)][-3:-1] == ["Ended 7kWh", "Ended 8kWh"]
    with pytest.raises(ValueError, match="kwH: no such fault; the faults are intervals, "):
        named("kwh,kwH")


def test_the_list_is_that_of_the_reference() -> None:
    section = REFERENCE.read_text().split("\n## Faults of simulated chargers\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w., ]*) \| (.*) \|$", section, re.MULTILINE)
    spoken = {"v16": "1.6", "v201": "2.0.1", "v21": "2.1"}
    every = ", ".join(spoken.values())
    assert rows == [
        (
            name,
            versions if (versions := ", ".join(map(spoken.__getitem__, fault.versions))) != every else "",
            fault.help,
        )
        for name, fault in FAULTS.items()
    ]
