"""What a connection hands its messages to, and the stand-in once the conversation is over."""

from typing import Protocol

from voltgate._core import Frame


class Receiver(Protocol):
    """Takes the messages of a connection: the session."""

    @property
    def resting(self) -> bool:
        """Whether the connection stays paused when it starts: the charger has spent its budget."""

    def received(self, frame: Frame) -> None:
        """One whole text message, decoded."""

    def broken(self, frame: Frame, size: int, why: str) -> None:
        """What ends the connection: a frame of ``size`` bytes, decoded as far as it was kept."""

    def spent(self, calls: float, rest: bool) -> None:
        """A control frame or a fragment costs as much as so many CALLs; ``rest``: it may pause us now."""

    def ended(self) -> None:
        """The socket is gone, or about to be."""


class Over:
    """In the place of the session once the conversation is over: what still arrives is dropped."""

    __slots__ = ()
    resting = False

    def received(self, frame: Frame) -> None:
        """See Receiver."""

    def broken(self, frame: Frame, size: int, why: str) -> None:
        """See Receiver."""

    def spent(self, calls: float, rest: bool) -> None:
        """See Receiver."""

    def ended(self) -> None:
        """See Receiver."""


OVER = Over()
