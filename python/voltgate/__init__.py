"""Voltgate: the gateway that carries EV chargers onto NATS."""

from voltgate._core import Frame, Violation, __version__
from voltgate.schemas import Codec

__all__ = ["Codec", "Frame", "Violation", "__version__"]
