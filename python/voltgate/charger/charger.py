"""The simulated charger: a :class:`Station` that also answers the CSMS."""

from voltgate.charger import commands
from voltgate.charger.messages import Payload
from voltgate.charger.station import Station


class Charger(Station):
    """``start()``, then it lives without a task until ``await stop()``; it belongs to the running loop."""

    __slots__ = ()

    def command(self, action: str, payload: Payload) -> Payload:
        """See Line."""
        return commands.answer(self, action, payload)
