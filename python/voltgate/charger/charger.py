"""The simulated charger: a :class:`Station` that also answers the CSMS."""

from voltgate.charger import commands
from voltgate.charger.messages import Payload
from voltgate.charger.station import Station


class Charger(Station):
    """Runs on the current event loop, without a task, from ``start()`` until ``await stop()``."""

    __slots__ = ()

    def command(self, action: str, payload: Payload) -> Payload:
        """See Line."""
        return commands.answer(self, action, payload)
