"""How a command ended, told until NATS has taken it: its Response fact and its replies (CONTRACT 3.5).

What a charger answered is known to this process alone: a NATS that is away for a moment must not lose it.
"""

from voltgate.gateway.interfaces import Ack, NotStored, Outside
from voltgate.gateway.session.command import Command, Said, Writer

AGAIN = 2.0  # seconds
TRIES = 30  # about a minute: by then whoever asked has given up, and a repeat gets ``lost``


class Report:
    """See the module. There is one of a command that was sent, so no outage makes many of them."""

    def __init__(self, command: Command, said: Said, writer: Writer, outside: Outside) -> None:
        self._command, self._said, self._writer = command, said, writer
        self._bus, self._clock = outside.bus, outside.clock
        self._time_ms = outside.clock.time_ms
        self._replies = () if said.late else tuple(command.replies)
        # Outcomes that sent nothing are not remembered, and there is no end of them.
        self._left = TRIES if said.outcome.value.sent else 1

    def tell(self) -> None:
        """The replies leave with the fact and do not wait for it; where it was not stored, nor did they."""
        if self._command.key:
            ticket = self._bus.ticket(self._stored, None)
            response = self._writer.response(self._command, self._said, self._time_ms, ticket.reply)
            self._bus.store(ticket, response)
        for reply in self._replies:
            self._bus.emit(self._writer.reply(self._command, self._said, reply))

    def _stored(self, _: None, ack: Ack | NotStored) -> None:
        self._left -= 1
        if ack is NotStored.UNKNOWN and self._left:
            self._clock.after(AGAIN, self.tell)
