"""What one fact says about a transaction. The differences between 1.6 and 2.x end here."""

from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from voltgate.csms.ledger import samples, times
from voltgate.csms.ledger.samples import Point

OCPP16 = "ocpp1.6"
# Of transactionId: chargers send them where they know none.
_UNKNOWN_IDS = {"", "-1", "0", str(2**31 - 1), str(2**63 - 1)}


class Mark(Enum):
    """What a fact is in the life of a session."""

    BEGIN = "begin"
    ANSWER = "answer"
    """The central system's answer to a begin; 1.6 has the transaction's id in it."""
    UPDATE = "update"
    VALUES = "values"
    END = "end"


class Told(NamedTuple):
    """``tx``: the transaction's id; "" where none is named that can be used. ``meter`` in mWh.

    ``bad_tx``: an id is named, and cannot be used.
    """

    stream: str
    seq: int
    key: str
    received: datetime
    connection: str
    mark: Mark
    at: datetime | None = None
    tx: str = ""
    bad_tx: bool = False
    evse: int | None = None
    connector: int | None = None
    token: str = ""
    meter: int | None = None
    reason: str = ""
    status: str = ""
    charging: str = ""
    seq_no: int | None = None
    offline: bool = False
    points: tuple[Point, ...] = ()


class Source(NamedTuple):
    """A fact of a session as the database and documents have it."""

    stream: str
    seq: int
    id: str
    key: str
    subject: str
    at: datetime
    connection: str
    version: str
    action: str
    body: dict[str, Any]


def told(source: Source) -> Told | None:
    """What a fact says; None: nothing about a transaction."""
    if source.version == OCPP16:
        return _told_16(source)
    return _told_2(source)


def _told_16(source: Source) -> Told | None:
    body = source.body
    at = times.of_charger(body.get("timestamp"))
    match source.action:
        case "StartTransaction":
            return _made(
                source, Mark.BEGIN, at=at, evse=_whole(body.get("connectorId")), connector=1,
                token=_text(body.get("idTag")), meter=samples.mwh(body.get("meterStart")),
            )  # fmt: skip
        case "StartTransactionResponse":
            info = body.get("idTagInfo")
            status = _text(info.get("status")) if isinstance(info, dict) else ""
            return _made(source, Mark.ANSWER, tx=tx_id(body.get("transactionId")), status=status)
        case "StopTransaction":
            return _made(
                source, Mark.END, at=at, tx=tx_id(body.get("transactionId")), token=_text(body.get("idTag")),
                meter=samples.mwh(body.get("meterStop")), reason=_text(body.get("reason")) or "Local",
                points=tuple(samples.points(body.get("transactionData"))),
            )  # fmt: skip
        case "MeterValues":
            tx = tx_id(body.get("transactionId"))
            return _made(
                source, Mark.VALUES, tx=tx, connector=1, bad_tx=not tx and "transactionId" in body,
                evse=_whole(body.get("connectorId")), points=tuple(samples.points(body.get("meterValue"))),
            )  # fmt: skip
    return None


_EVENTS = {"Started": Mark.BEGIN, "Updated": Mark.UPDATE, "Ended": Mark.END}


def _told_2(source: Source) -> Told | None:
    body = source.body
    points = tuple(samples.points(body.get("meterValue")))
    if source.action == "MeterValues":
        return _made(source, Mark.VALUES, evse=_whole(body.get("evseId")), points=points)
    if source.action != "TransactionEvent":
        return None
    info, evse, token = body.get("transactionInfo"), body.get("evse"), body.get("idToken")
    info = info if isinstance(info, dict) else {}
    evse = evse if isinstance(evse, dict) else {}
    return _made(
        source,
        _EVENTS.get(_text(body.get("eventType")), Mark.UPDATE),
        at=times.of_charger(body.get("timestamp")),
        tx=_text(info.get("transactionId")),
        evse=_whole(evse.get("id")),
        connector=_whole(evse.get("connectorId")),
        token=_text(token.get("idToken")) if isinstance(token, dict) else "",
        reason=_text(info.get("stoppedReason")),
        charging=_text(info.get("chargingState")),
        seq_no=_whole(body.get("seqNo")),
        offline=body.get("offline") is True,
        points=points,
    )


def _made(source: Source, mark: Mark, **fields: Any) -> Told:
    return Told(source.stream, source.seq, source.key, source.at, source.connection, mark, **fields)


def tx_id(value: Any) -> str:
    """A transactionId of 1.6 as text; "" for those that stand for "unknown"."""
    shown = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return "" if shown.strip() in _UNKNOWN_IDS else shown.strip()


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
