"""Who may send now on one connection: what a session and its commands both go by."""

from voltgate._core import Lane
from voltgate.gateway.session.call import Call

_NONE = frozenset[str]()


class Turn:
    """Its commands write ``commanding``, ``secretive`` and ``triggered``, the session all else."""

    __slots__ = (
        "boot", "calls", "commanding", "draining", "ended", "half_duplex", "lane", "leaving", "linked",
        "secretive", "triggered",
    )  # fmt: skip

    def __init__(self, half_duplex: bool, lane: Lane) -> None:
        self.lane = lane
        # Open CALLs here, the served one first; before them that of the lane. An empty deque has 600 bytes.
        self.calls: list[Call] = []
        self.boot = ""  # what a backend last answered to BootNotification; "" for nothing
        self.triggered = _NONE  # actions that a command asked for: they pass while Pending
        self.leaving = False  # nothing new begins: the connection is about to end, or has ended
        self.draining = False  # it is about to end in a drain
        self.ended = False  # the socket is gone
        self.commanding = False  # a command is in flight
        self.secretive = False  # a command was sent whose answer may quote a secret
        self.linked = False  # the epoch of its link is known: commands wait until it is
        self.half_duplex = half_duplex  # the charger cannot take a CALL while its own is open (quirk)

    @property
    def open_calls(self) -> int:
        """CALLs of the charger that are not answered yet."""
        return len(self.calls) + self.lane.open

    @property
    def idle(self) -> bool:
        """Whether nothing is open in either direction."""
        return not (self.open_calls or self.commanding or self.leaving)

    @property
    def crosses(self) -> bool:
        """Whether a command sent now would cross a CALL of a charger that cannot take that."""
        return self.half_duplex and bool(self.open_calls)

    def await_answer(self) -> None:
        """A command waits for the open CALL; where the lane holds that, the lane calls the session."""
        self.lane.gate(closed=True)

    @property
    def waits(self) -> bool:
        """Whether no command may begin now."""
        return not self.linked or self.crosses

    @property
    def finishing(self) -> bool:
        """Whether a drain waits for the answer to the command in flight (docs/contract.md 4.5)."""
        return self.draining and self.commanding
