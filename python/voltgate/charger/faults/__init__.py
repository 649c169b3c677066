"""Faults of chargers in the field, for the simulated charger: ``--faults NAMES``.

``scene`` is what a fault may know, ``meters`` reads and changes meter values, ``energy``, ``transactions``
and ``clocks`` are the faults themselves, ``catalogue`` is the closed list with :func:`applied`. A fault
changes the messages that a correct charger would send; nothing here has a clock, a socket or state.
"""

from voltgate.charger.faults.catalogue import FAULTS, applied, named
from voltgate.charger.faults.scene import Fault, Moment, Scene

__all__ = ["FAULTS", "Fault", "Moment", "Scene", "applied", "named"]
