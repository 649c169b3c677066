"""Passwords that commands change: the registry lets the charger in before, while and after it takes one.

    [old] --the command leaves--> [old, new], sent --Accepted-------> [new]
                                      |            --refused--------> [old]
                                      |            --RebootRequired-> [old, new], at_reboot
                                      +-- timeout, lost: both stay until one logs in, then the other goes

Accepted retires the old password and a refusal keeps it (OCPP.md A24). RebootRequired is neither: the old
one is in force until the charger restarts, the new one from then on, so only the login of the new one
decides. A record is written by compare-and-set on its revision, and the CALL leaves after it: whoever dies
at whatever step, the password the charger has is in the record.

The password in SetNetworkProfile is none of these: it is stored in a slot the charger may use some day,
perhaps for another CSMS.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import structlog

from voltgate import _core
from voltgate.gateway.interfaces import Ack, Bus, Change, Clock, NotRead, NotStored, Stored, Verdict
from voltgate.gateway.registry.record import Known, Record, parse

log = structlog.get_logger()

TRIES = 5  # of a record that others write at the same time
AGAIN = 0.1  # seconds between them

UNREADABLE = "the charger's record could not be read or written"
CROWDED = "too many passwords are being hashed (registry.max_hashes)"
UNDECIDED = (
    "two passwords are kept, and which one is in force is not known: let the charger connect again (voltgate "
    "chargers kick), reboot it where it asked for that, or keep one (voltgate chargers set --password)"
)

# ``hash(change, hashes, hashed)``: the one of ``hashes`` the password passes, else a new one; None: not now.
Hash = Callable[[Change, tuple[str, ...], Callable[[str | None], None]], None]
# What to set in a record, or None to leave it.
Edit = Callable[[Record], dict[str, Any] | None]


class Rotation:
    """See the module; one per process."""

    def __init__(self, bus: Bus, clock: Clock, stream_prefix: str, hash_: Hash) -> None:
        bucket = f"{stream_prefix.lower()}_chargers"
        self._bus, self._clock, self._hash = bus, clock, hash_
        self._stream, self._prefix = f"KV_{bucket}", f"$KV.{bucket}."

    def begin(self, change: Change, done: Callable[[Any, str], None], arg: Any) -> None:
        """Let the new password in beside the old: ``done(arg, why not)``, "" when it may be sent.

        A charger without record logs in without a password: there is nothing to keep.
        """

        def found(_: None, stored: Stored | NotRead) -> None:
            record = _record(stored)
            if isinstance(record, Record):
                change.before = record.password_hashes
                self._hash(change, change.before, hashed)
            else:
                done(arg, UNREADABLE if record is NotRead.UNREADABLE else "")

        def hashed(hash_: str | None) -> None:
            change.password = b""
            if hash_ is None:
                done(arg, CROWDED)
                return
            change.hash = hash_
            if hash_ in change.before:
                done(arg, "")
            elif len(change.before) > 1:
                done(arg, UNDECIDED)
            else:
                change.added = True
                both = {"password_hashes": [*change.before, hash_], "password_change": "sent"}
                edit = partial(_from, change.before, both)
                self._edit(change.token, edit, lambda written: done(arg, "" if written else UNREADABLE))

        self._bus.read(self._stream, 0, self._prefix + change.token, found, None)

    def settle(self, change: Change, verdict: Verdict) -> None:
        """The charger has said what becomes of a password that was begun."""
        both = (*change.before, change.hash) if change.added else change.before
        if not change.hash or (not change.added and (verdict is Verdict.REFUSED or len(both) == 1)):
            return
        if verdict is Verdict.TAKEN:
            fields: dict[str, Any] = {"password_hashes": [change.hash], "password_change": None}
        elif verdict is Verdict.REFUSED:
            fields = {"password_hashes": list(change.before), "password_change": None}
        else:
            fields = {"password_change": "at_reboot"} if len(both) > 1 else {}
        self._edit(change.token, partial(_from, both, fields), lambda _: None)

    def logged_in(self, known: Known) -> None:
        """The charger came in with ``known.passed``: the other one goes, but where an operator keeps two."""
        hashes, state = known.record.password_hashes, known.record.password_change
        if state is None or len(hashes) < 2 or known.passed not in hashes:
            return
        if state == "at_reboot" and known.passed == hashes[0]:
            return
        fields = {"password_hashes": [known.passed], "password_change": None}
        self._edit(known.token, partial(_from, hashes, fields), lambda _: None)

    def _edit(self, token: str, edit: Edit, done: Callable[[bool], None], tries: int = TRIES) -> None:
        """Write what ``edit`` says of the record as it is now; once more where somebody else was first."""

        def found(_: None, stored: Stored | NotRead) -> None:
            record = _record(stored)
            fields = edit(record) if isinstance(record, Record) else None
            if not isinstance(stored, Stored) or fields is None:
                done(False)
                return
            body = orjson.loads(stored.data) | fields  # what another release wrote beside it stays
            kept = orjson.dumps({name: value for name, value in body.items() if value is not None})
            expected = [("Nats-Expected-Last-Subject-Sequence", str(stored.seq))]
            ticket = self._bus.ticket(written, None)
            self._bus.store(ticket, _core.publish(self._prefix + token, ticket.reply, expected, kept))

        def written(_: None, ack: Ack | NotStored) -> None:
            if isinstance(ack, Ack):
                done(True)
            elif ack is NotStored.REFUSED and tries > 1:
                self._clock.after(AGAIN, self._edit, token, edit, done, tries - 1)
            else:
                log.warning("rotation.not_written", token=token)
                done(False)

        self._bus.read(self._stream, 0, self._prefix + token, found, None)


def _from(hashes: tuple[str, ...], fields: dict[str, Any], record: Record) -> dict[str, Any] | None:
    """``fields``, where nobody has changed the passwords since."""
    return fields if fields and record.password_hashes == hashes else None


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
