"""Documents that the ledger has issued, as their readers see them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from csms.ledger.world import Said, World
from csms.tariffs import ocpi221
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.tariffs import ocpi_cdr, statement
from voltgate.csms.tariffs.cdr import Cdr, CdrKind, read
from voltgate.csms.tariffs.ocpi import Party
from voltgate.csms.tariffs.ocpi_cdr import Location
from voltgate.csms.tariffs.payments import Payment
from voltgate.csms.tariffs.statement import Entry
from voltgate.csms.tariffs.usage import Usage

START = datetime(2026, 6, 1, 19, 30, tzinfo=UTC)  # 21:30 in Berlin
MINUTE = timedelta(minutes=1)
TARIFF = {
    "currency": "EUR",
    "energy_kwh": "0.40",
    "start": "0.50",
    "night": {"from": "22:00", "to": "06:00", "energy_kwh": "0.20"},
}
SITE = {"name": "Hafen", "timezone": "Europe/Berlin", "currency": "EUR", "tax_percent": "19"}


def meter(minutes: int, wh: int) -> Said:
    at = START + minutes * MINUTE
    sample = {"timestamp": at.isoformat(), "sampledValue": [{"value": str(wh)}]}
    return Said(at, "MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": [sample]})


def charge(one: World) -> World:
    """20 kWh in an hour that the night begins in, settled."""
    decided = START - timedelta(days=1)
    for kind, id, body in (
        (Kind.SITE, "HH", SITE),
        (Kind.CHARGER, "CP1", {"site": "HH"}),
        (Kind.TARIFF, "T", TARIFF),
        (Kind.ASSIGNMENT, "default", {"tariff": "T"}),
    ):
        one.decide(kind, id, body, decided)
    start = {"connectorId": 1, "idTag": "CAFE", "meterStart": 1000, "timestamp": START.isoformat()}
    started = {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}
    end = START + 60 * MINUTE
    stop = {"transactionId": 1, "meterStop": 21000, "timestamp": end.isoformat()}
    one.run(
        [
            Said(START, "StartTransaction", start, key="S"),
            Said(START + timedelta(seconds=1), "StartTransactionResponse", started, key="S"),
            meter(30, 13000),
            Said(end, "StopTransaction", stop),
        ],
        end + 5 * MINUTE,
    )
    return one


@pytest.fixture
def world() -> World:
    return charge(World())


def documents(world: World) -> list[Cdr]:
    with world.books.begin() as tx:
        rows = tx.all("SELECT document FROM cdr ORDER BY number")
    return [read(bytes(row[0])) for row in rows]


def payments(world: World) -> list[str]:
    with world.books.begin() as tx:
        return [row[0] for row in tx.all("SELECT payment FROM cdr ORDER BY number")]


def test_an_invoice(world: World) -> None:
    (invoice,) = documents(world)
    assert (invoice.kind, invoice.number, invoice.site) == (CdrKind.INVOICE, "HH-2026-000001", "HH")
    bill = invoice.billed.json()
    assert (bill["cost"], bill["tax"], bill["energy_wh"], bill["zone"]) == (
        "6.90",
        "1.11",
        "20000",
        "Europe/Berlin",
    )
    assert [(one["kind"], one["quantity"], one["amount"]) for one in bill["lines"]] == [
        ("start", "1.000000", "0.50"),
        ("energy", "12.000000", "4.80"),
        ("energy", "8.000000", "1.60"),
    ]
    assert invoice.billed.recomputed() == invoice.billed.bill


def test_a_correction_credits_and_bills_again(world: World) -> None:
    session = documents(world)[0].session
    later = START + timedelta(hours=3)
    world.decide(Kind.CORRECTION, session, {"energy_wh": 10000}, later, "the meter was tested")
    world.run([], later + 5 * MINUTE)
    invoice, credit, again = documents(world)
    assert [one.billed.bill.cost for one in (invoice, credit, again)] == ["6.90", "-6.90", "3.70"]
    assert (credit.credits, credit.why) == (invoice.id, "the meter was tested (ann)")
    assert credit.billed.credited() == invoice.billed
    assert again.billed.recomputed() == again.billed.bill
    assert payments(world) == ["waived", "waived", "due"]
    total = statement.sums(Entry(one, Payment.DUE) for one in (invoice, credit, again))
    assert [(one.documents, one.mwh, one.cost) for one in total] == [(3, 10_000_000, 3_700_000)]


def test_a_paid_invoice_leaves_a_credit_that_is_owed(world: World) -> None:
    (invoice,) = documents(world)
    later = START + timedelta(hours=3)
    world.decide(Kind.PAYMENT, invoice.id, {"state": "paid"}, later)
    world.run([], later + MINUTE)
    assert payments(world) == ["paid"]
    world.decide(Kind.WAIVER, invoice.session, {}, later + MINUTE, "goodwill")
    world.run([], later + 5 * MINUTE)
    _, credit, free = documents(world)
    assert payments(world) == ["paid", "due", "due"]
    assert (credit.billed.bill.cost, free.billed.bill.cost) == ("-6.90", "0.00")
    assert free.billed.recomputed() == free.billed.bill


def test_a_document_is_an_ocpi_cdr(world: World) -> None:
    (invoice,) = documents(world)
    exported = ocpi_cdr.export(invoice, Party("DE", "VGT"), Location(), None)
    assert ocpi221.faults(exported.body, ocpi221.CDR) == []
    cost = ocpi221.cost(exported.body, ZoneInfo("Europe/Berlin"))
    assert abs(float(cost) - exported.body["total_cost"]["incl_vat"]) < 0.005


@pytest.mark.parametrize(
    ("amperes", "cost"),
    [
        ([(40, 40, 40), (40, 40, 40), (40, 40, 40)], "6.00"),  # 120 A
        ([(40, 40, 40), (40, 40, 40), (10, 10, 10)], "4.50"),  # the last half hour is not proven
        ([(), (), ()], "0.00"),
    ],
)
def test_a_price_by_current(amperes: list[tuple[int, ...]], cost: str) -> None:
    """The smaller one of two readings holds for the time between them."""
    one = World()
    charging = {"prices": [
        {"priceMinute": 0.1, "conditions": {"minCurrent": 96}},
        {"priceMinute": 0.05, "conditions": {"maxCurrent": 96}},
    ]}  # fmt: skip
    one.decide(Kind.TARIFF, "T", {"ocpp": {"currency": "EUR", "chargingTime": charging}}, START)
    one.decide(Kind.ASSIGNMENT, "default", {"tariff": "T"}, START)

    def event(kind: str, seq: int, phases: tuple[int, ...]) -> Said:
        at = START + seq * 30 * MINUTE
        currents = [
            {
                "value": value,
                "measurand": "Current.Import",
                "phase": f"L{phase}",
                "unitOfMeasure": {"unit": "A"},
            }
            for phase, value in enumerate(phases, 1)
        ]
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
        samples = [
            {"value": seq * 10_000, "context": context},
            *({**one, "context": context} for one in currents),
        ]
        info = {"transactionId": "A", **({"chargingState": "Charging"} if kind != "Ended" else {})}
        body = {
            "eventType": kind, "timestamp": at.isoformat(), "triggerReason": "MeterValuePeriodic",
            "seqNo": seq, "transactionInfo": info, "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": at.isoformat(), "sampledValue": samples}],
        }  # fmt: skip
        return Said(at, "TransactionEvent", body, version="v21")

    kinds = ("Started", "Updated", "Ended")
    one.run([event(kind, seq, amperes[seq]) for seq, kind in enumerate(kinds)], START + 70 * MINUTE)
    (invoice,) = documents(one)
    assert invoice.billed.bill.cost == cost
    assert invoice.billed.recomputed() == invoice.billed.bill


def test_a_session_without_a_tariff() -> None:
    one = World()
    start = {"connectorId": 1, "idTag": "CAFE", "meterStart": 0, "timestamp": START.isoformat()}
    stop = {"transactionId": 1, "meterStop": 5000, "timestamp": (START + MINUTE * 30).isoformat()}
    accepted = {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}
    one.run(
        [
            Said(START, "StartTransaction", start, key="S"),
            Said(START, "StartTransactionResponse", accepted, key="S"),
            Said(START + MINUTE * 30, "StopTransaction", stop),
        ],
        START + MINUTE * 40,
    )
    (invoice,) = documents(one)
    assert (invoice.billed.bill.cost, invoice.billed.tariff) == ("0.00", {})
    assert invoice.billed.usage != Usage(())
    assert invoice.billed.recomputed() == invoice.billed.bill


def pay_and_correct(one: World, invoice: Cdr) -> None:
    """Paid, then corrected, then the credit paid back."""
    later = START + timedelta(hours=3)
    one.decide(Kind.PAYMENT, invoice.id, {"state": "paid"}, later)
    one.run([], later + MINUTE)
    one.decide(Kind.CORRECTION, invoice.session, {"energy_wh": 10000}, later + MINUTE)
    # Before there is a credit: it counts for nothing, in a rebuild either.
    one.decide(Kind.PAYMENT, f"{invoice.id}/credit", {"state": "waived"}, later + MINUTE)
    one.run([], later + 5 * MINUTE)
    one.decide(Kind.PAYMENT, f"{invoice.session}/2", {"state": "paid"}, later + 5 * MINUTE)
    one.run([], later + 7 * MINUTE)


def test_a_rebuild_knows_who_has_paid(world: World) -> None:
    """Documents first, then every decision at its tick."""
    (invoice,) = documents(world)
    pay_and_correct(world, invoice)
    assert payments(world) == ["paid", "due", "paid"]
    with world.books.begin() as tx:
        bodies = [bytes(row[0]) for row in tx.all("SELECT document FROM cdr")]
    rebuilt = World()
    for body in bodies:
        rebuilt.books.take_documents([body])
    pay_and_correct(charge(rebuilt), invoice)
    assert payments(rebuilt) == payments(world)
    assert documents(rebuilt) == documents(world)
