"""A gateway that lies: it answers transaction messages before their PubAck. The suite must find it out."""

import sys
from typing import Any

from voltgate.cli import main
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.interfaces import Ack, Ticket
from voltgate.gateway.session.plan import LanePlan

_store = Bus.store


def _nobody(arg: Any, ack: Any) -> None:
    """The PubAck comes too late to matter."""


def lie(bus: Bus, ticket: Ticket[Any, Any], command: bytes, tx: bool = False) -> None:
    done, arg = ticket.done, ticket.arg
    if tx:
        ticket.done = _nobody
    _store(bus, ticket, command, tx)
    if tx:
        done(arg, Ack("OCPP_TX", 0, False))


if __name__ == "__main__":
    # No CALL takes the lane, which cannot be made to lie from here.
    setattr(LanePlan, "_open", lambda plan, action, handling: None)  # noqa: B010
    setattr(Bus, "store", lie)  # noqa: B010 - what no type would allow
    sys.exit(main())
