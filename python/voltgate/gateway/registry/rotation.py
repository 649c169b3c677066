"""Passwords that commands change: the charger can log in before, while and after it takes the new one.

    [old] --the command leaves--> [old, new], sent --Accepted-------> [new]
                                      |            --refused--------> [old]
                                      |            --RebootRequired-> [old, new], at_reboot
                                      +-- timeout, lost: both stay until one logs in, then the other goes

Accepted retires the old password and a refusal keeps it (docs/ocpp.md A24). RebootRequired is neither: the
old one is in force until the charger restarts, the new one from then on, so only the login of the new one
decides. Likewise for a key that an operator made (new_key), which is in force when it is entered. A password
that is sent again while it is undecided is noted (resent): the refusal of one command says nothing of the
other. A record is written by compare-and-set on its revision, and the CALL leaves after it: whatever process
ends at whatever step, the password the charger has is in the record.

The password in SetNetworkProfile is not one of these: it is stored in a slot the charger may use later,
perhaps for another CSMS.
"""

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

import orjson
import structlog

from voltgate import _core
from voltgate.gateway.interfaces import Ack, Bus, Change, Clock, NotRead, NotStored, Stored, Ticket, Verdict
from voltgate.gateway.registry.record import Known, PasswordChange, Record, parse

log = structlog.get_logger()

TRIES = 5  # of a record that is changed at the same time
AGAIN = 0.1  # seconds between them

_SENT: PasswordChange = "sent"
_RESENT: PasswordChange = "resent"

UNREADABLE = "the charger's record could not be read or written"
CROWDED = "too many passwords are being hashed (registry.max_hashes)"
UNDECIDED = (
    "two passwords are kept, and which one is in force is not known: let the charger connect again (voltgate "
    "chargers kick), reboot it where it asked for that, or keep one (voltgate chargers set --password)"
)

# ``hash(change, hashes, hashed)``: the one of ``hashes`` the password passes, else a new one; None: not now.
Hash = Callable[[Change, tuple[str, ...], Callable[[str | None], None]], None]
# Begins something that calls back once.
Begin = Callable[[Callable[[Any], None]], object]


class Rotation:
    """See the module; one per process."""

    def __init__(self, bus: Bus, clock: Clock, stream_prefix: str, hash_: Hash) -> None:
        bucket = f"{stream_prefix.lower()}_chargers"
        self._bus, self._clock, self._hash = bus, clock, hash_
        self._stream, self._prefix = f"KV_{bucket}", f"$KV.{bucket}."

    def begin(self, change: Change, done: Callable[[Any, str], None], arg: Any) -> None:
        """Add the new password to the record: ``done(arg, why not)``, "" when it may be sent.

        A charger without record logs in without a password: there is nothing to add it to.
        """

        async def begin() -> None:
            done(arg, await self._begin(change))

        _run(begin())

    def settle(self, change: Change, verdict: Verdict) -> None:
        """The charger has answered: keep the password it has from now on."""
        both = (*change.before, change.hash) if change.added else change.before
        if not change.hash or (not change.added and (verdict is Verdict.REFUSED or len(both) == 1)):
            return
        replaced = [both]
        if verdict is Verdict.TAKEN:
            fields: dict[str, Any] = {"password_hashes": [change.hash], "password_change": None}
        elif verdict is Verdict.REFUSED:
            fields = {"password_hashes": list(change.before), "password_change": None}
        else:
            fields = {"password_hashes": list(both), "password_change": "at_reboot" if both[1:] else None}
            # A login may have removed the new one before this answer is noted. That proves nothing.
            replaced.append(change.before)

        def holds(record: Record) -> bool:
            again = record.password_change == _RESENT  # and may be in force by that
            return record.password_hashes in replaced and not (again and verdict is Verdict.REFUSED)

        _run(self._edit(change.token, holds, fields))

    def logged_in(self, known: Known) -> None:
        """The charger logged in with ``known.passed``: remove the other one, unless an operator keeps two."""
        hashes, state = known.record.password_hashes, known.record.password_change
        if state is None or len(hashes) < 2 or known.passed not in hashes:
            return
        if state in ("at_reboot", "new_key") and known.passed == hashes[0]:
            return

        def undecided(record: Record) -> bool:
            return (record.password_hashes, record.password_change) == (hashes, state)

        _run(self._edit(known.token, undecided, {"password_hashes": [known.passed], "password_change": None}))

    async def _begin(self, change: Change) -> str:
        """Why the password may not be sent, "" when it may."""
        record = _record(await self._read(change.token))
        if not isinstance(record, Record):
            return UNREADABLE if record is NotRead.UNREADABLE else ""
        change.before = before = record.password_hashes
        hash_: str | None = await _result(partial(self._hash, change, before))
        change.password = b""
        if hash_ is None:
            return CROWDED
        change.hash = hash_
        if hash_ in before:
            return await self._sends_again(change.token, record)
        if len(before) > 1:
            return UNDECIDED
        change.added = True
        both = {"password_hashes": [*before, hash_], "password_change": _SENT}
        added = await self._edit(change.token, lambda record: record.password_hashes == before, both)
        return "" if added else UNREADABLE

    async def _sends_again(self, token: str, record: Record) -> str:
        """Note that a password is sent again: the refusal of an earlier command must not remove it."""
        if record.password_change != _SENT:
            return ""
        undecided = (record.password_hashes, _SENT)
        noted = await self._edit(
            token,
            lambda found: (found.password_hashes, found.password_change) == undecided,
            {"password_change": _RESENT},
        )
        return "" if noted else UNREADABLE

    async def _edit(self, token: str, holds: Callable[[Record], bool], fields: dict[str, Any]) -> bool:
        """Set ``fields`` in the record, while ``holds`` for it; whether that was stored."""
        for _ in range(TRIES):
            stored = await self._read(token)
            record = _record(stored)
            if not isinstance(stored, Stored) or not isinstance(record, Record):
                return False
            if not holds(record):
                return False
            body = orjson.loads(stored.data) | fields  # fields of newer releases stay
            kept = orjson.dumps({name: value for name, value in body.items() if value is not None})
            match await self._write(token, stored.seq, kept):
                case Ack():
                    return True
                case NotStored.UNKNOWN:
                    break
                case NotStored.REFUSED:  # changed since it was read
                    await _result(self._pause)
        log.warning("rotation.unwritten", identity=_core.identity(token))
        return False

    def _pause(self, done: Callable[[Any], None]) -> None:
        self._clock.after(AGAIN, done, None)

    async def _read(self, token: str) -> Stored | NotRead:
        def begin(done: Callable[[Any], None]) -> None:
            self._bus.read(self._stream, 0, self._prefix + token, lambda _, stored: done(stored), None)

        stored: Stored | NotRead = await _result(begin)
        return stored

    async def _write(self, token: str, seq: int, body: bytes) -> Ack | NotStored:
        """Compare-and-set on ``seq``."""

        def begin(done: Callable[[Any], None]) -> None:
            ticket: Ticket[None, Ack | NotStored] = self._bus.ticket(lambda _, ack: done(ack), None)
            expected = [("Nats-Expected-Last-Subject-Sequence", str(seq))]
            self._bus.store(ticket, _core.publish(self._prefix + token, ticket.reply, expected, body))

        ack: Ack | NotStored = await _result(begin)
        return ack


def _run(steps: Coroutine[Begin, Any, Any], result: Any = None) -> None:
    """Run a coroutine that awaits nothing but :func:`_result`; each callback runs it on, in the caller's
    turn.

    Not an asyncio task: no turn of the loop passes between a PubAck and the CALL that waits for it, and it
    runs in virtual time.
    """
    try:
        begin = steps.send(result)
    except StopIteration:
        return
    begin(partial(_run, steps))


@coroutine
def _result(begin: Begin) -> Generator[Begin, Any, Any]:
    """Call ``begin(done)`` and wait until ``done`` is called: with the result."""
    return (yield begin)


def _record(stored: Stored | NotRead) -> Record | NotRead:
    """The record; UNREADABLE also where it cannot be parsed."""
    if not isinstance(stored, Stored):
        return stored
    if "KV-Operation" in stored.headers:  # deleted, or purged
        return NotRead.MISSING
    try:
        return parse(stored.data)
    except ValueError:
        return NotRead.UNREADABLE
